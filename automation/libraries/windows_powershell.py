"""Running PowerShell on Windows targets over WinRM, as a plain library: no database, no framework.

Exit codes: `exit N` gives N; a script that comes to its end gives the exit code of the last native program it
ran, or 0; an error that nobody catches gives 1, and `$ErrorActionPreference` is `Stop` at the start.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any

from automation.libraries.collecting import OUTPUT_LIMIT, Collected, fault_of
from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.deadlines import Deadlines
from automation.libraries.errors import LibraryError
from automation.libraries.results import ConnectionTest, ExecutionResult
from automation.libraries.types import Control, Credentials, Endpoint, OnOutput
from automation.libraries.windows.address import HTTP_PORT, parse_windows_target
from automation.libraries.windows.connection import WinRMConnection, connect
from automation.libraries.windows.plain import run_powershell
from automation.libraries.windows.script import pack_script
from automation.libraries.windows.target_check import check_windows_target
from automation.libraries.windows.types import HTTPS_PORT, OnRecord, Record, WinRMEndpoint

DEFAULT_TIMEOUT = 600.0
RECORDS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class PowerShellResult(ExecutionResult):
    """What became of one PowerShell script on one target.

    `stderr` is what PowerShell told beside the script's output, as text; `records` holds the same things one
    by one with their kinds, the first RECORDS_KEPT of them. `incomplete`: an answer with output may have been
    lost on the way.
    """

    records: tuple[Record, ...] = ()
    incomplete: bool = False

    def as_dict(self) -> dict[str, Any]:
        """What every result has, `streams` (texts by kind) and `incomplete`."""
        streams: dict[str, list[str]] = {}
        for record in self.records:
            streams.setdefault(record.kind, []).append(record.text)
        return {**ExecutionResult.as_dict(self), "streams": streams, "incomplete": self.incomplete}


class WindowsPowerShellLibrary:
    """Scripts on Windows targets.

    With a `manager`, connections and their shells are pooled; without one, each call logs in and out.
    `target_host` is a name, `name:port`, an address, `[IPv6]:port`, a URL of WinRM, or a `WinRMEndpoint`,
    which also tells how to log in. HTTPS with a verified certificate is the default.
    """

    def __init__(
        self, *, manager: ConnectionManager | None = None, deadlines: Deadlines | None = None
    ) -> None:
        self._manager = manager
        self._deadlines = deadlines or Deadlines()

    def execute_powershell(
        self,
        target_host: str | Endpoint,
        script: str | bytes,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        parameters: Mapping[str, Any] | None = None,
        on_output: OnOutput | None = None,
        on_record: OnRecord | None = None,
        connection: WinRMConnection | None = None,
        control: Control | None = None,
        raise_errors: bool = True,
    ) -> PowerShellResult:
        """Run `script` once and wait for its end, at most `timeout` seconds.

        `parameters` become typed variables, as data. `on_output` gets the output as it comes, `on_record`
        warnings and the like one by one, and errors line by line, for so powershell.exe writes them. A
        `connection` of the caller's is used as it is and left open.

        A non-zero exit code is a result. Raises the family of errors; those raised when the script had
        begun carry what is known in `partial`. With `raise_errors=False` the result holds the error.
        """
        heard = _Heard(Collected(on_output), on_record)
        started = time.monotonic()
        details: dict[str, Any] = {"timeout": timeout, "script_length": len(script)}
        exit_code: int | None = None
        fault: LibraryError | None = None
        incomplete = False
        try:
            endpoint = parse_windows_target(target_host)
            details |= {"protocol": "winrm", "port": endpoint.port, "auth_method": endpoint.method}
            payload = pack_script(script, parameters)
            with self._connection(endpoint, credentials, connection) as open_connection:
                end = run_powershell(
                    open_connection,
                    payload,
                    on_output=heard.collected.hear,
                    on_record=heard.record,
                    timeout=timeout,
                    output_limit=OUTPUT_LIMIT,
                    control=control,
                )
            fault, exit_code, incomplete = fault_of(end, timeout), end.exit_code, end.incomplete
        except LibraryError as error:
            fault = error
        plain = heard.collected.result(exit_code, time.monotonic() - started, details, fault)
        result = _with_records(plain, tuple(heard.records), incomplete=incomplete)
        if result.error is not None and raise_errors:
            result.error.partial = replace(result, error=None)
            raise result.error
        return result

    def execute_script(
        self, target_host: str | Endpoint, script: str | bytes, credentials: Credentials, **options: Any
    ) -> PowerShellResult:
        """The same as `execute_powershell`, under the name that all libraries share."""
        return self.execute_powershell(target_host, script, credentials, **options)

    def test_connection(self, target_host: str | Endpoint, credentials: Credentials) -> ConnectionTest:
        """How far a fresh connection gets: resolve, tcp, tls (HTTPS alone), protocol, credential, shell.

        Raises only `TargetInvalid`; all else is in the result.
        """
        endpoint = parse_windows_target(target_host)
        if self._manager is not None:
            return self._manager.test(endpoint, credentials)
        return check_windows_target(endpoint, credentials, limits=self._deadlines)

    def get_library_info(self) -> dict[str, Any]:
        """Name, version, what it can do, and its time limits in seconds."""
        return {
            "name": "Windows PowerShell Library",
            "version": "1.0.0",
            "description": "Runs PowerShell on Windows targets over WinRM",
            "capabilities": [
                "powershell execution",
                "streamed output",
                "separate PowerShell streams",
                "connection pooling",
                "certificate verification",
                "message encryption",
                "cancellation",
            ],
            "supported_auth": ["negotiate", "ntlm", "kerberos", "certificate", "basic", "credssp"],
            "supported_protocols": ["HTTPS", "HTTP"],
            "default_ports": {"https": HTTPS_PORT, "http": HTTP_PORT},
            "timeouts": {name: getattr(self._deadlines, name) for name in Deadlines.__dataclass_fields__}
            | {"script": DEFAULT_TIMEOUT},
            "retry_settings": {"max_retries": 0, "reason": "what may have run is never repeated"},
            "dependencies": {name: version(name) for name in ("pywinrm", "pyspnego", "psrpcore")},
            "ready": True,
        }

    @contextmanager
    def _connection(
        self, endpoint: WinRMEndpoint, credentials: Credentials, given: WinRMConnection | None
    ) -> Iterator[WinRMConnection]:
        if given is not None:
            yield given
        elif self._manager is not None:
            with self._manager.windows_connection(endpoint, credentials) as pooled:
                yield pooled
        else:
            own = connect(endpoint, credentials, limits=self._deadlines)
            try:
                yield own
            finally:
                own.close()


class _Heard:
    """What came of one script beside its end."""

    def __init__(self, collected: Collected, on_record: OnRecord | None) -> None:
        self.collected = collected
        self.records: list[Record] = []
        self._on_record = on_record

    def record(self, record: Record) -> None:
        if len(self.records) < RECORDS_KEPT:
            self.records.append(record)
        if self._on_record is not None:
            self._on_record(record)


def _with_records(
    plain: ExecutionResult, records: tuple[Record, ...], *, incomplete: bool
) -> PowerShellResult:
    values = {field.name: getattr(plain, field.name) for field in fields(plain)}
    return PowerShellResult(**values, records=records, incomplete=incomplete)
