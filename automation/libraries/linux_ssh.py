"""Running bash on Linux targets over SSH, as a plain library: no database, no framework."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

from automation.libraries.collecting import OUTPUT_LIMIT, Collected, fault_of
from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.deadlines import Deadlines
from automation.libraries.errors import LibraryError
from automation.libraries.host_identity import known_endpoint
from automation.libraries.plain import run_plain
from automation.libraries.resolution import parse_target
from automation.libraries.results import ConnectionTest, ExecutionResult
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.target_check import auth_method, check_target
from automation.libraries.types import Control, Credentials, Endpoint, OnOutput

DEFAULT_TIMEOUT = 600.0
PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

KnownHosts = str | PathLike[str]


class LinuxSSHLibrary:
    """Scripts on Linux targets.

    With a `manager`, connections are pooled; without one, each call logs in and out. `target_host` is a
    name, `name:port`, an address, `[IPv6]:port`, or an `Endpoint` with its trusted host keys. A target
    without a trusted key is refused (`HostKeyUnknown`) unless `known_hosts` names a file that has one.
    """

    def __init__(
        self, *, manager: ConnectionManager | None = None, deadlines: Deadlines | None = None
    ) -> None:
        self._manager = manager
        self._deadlines = deadlines or Deadlines()

    def execute_bash(
        self,
        target_host: str | Endpoint,
        script: str | bytes,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        parameters: Mapping[str, str] | None = None,
        on_output: OnOutput | None = None,
        become: bool = False,
        connection: SSHConnection | None = None,
        known_hosts: KnownHosts | None = None,
        control: Control | None = None,
        raise_errors: bool = True,
    ) -> ExecutionResult:
        """Run `script` in bash once and wait for its end, at most `timeout` seconds.

        `parameters` become shell variables, as data: `$name` in the script. `become` runs it as root through
        sudo, with the credentials' `become_password` if sudo wants one. `on_output` gets the output as it
        comes. A `connection` of the caller's is used as it is and left open.

        A non-zero exit code is a result. Raises the family of errors; those raised when the script had
        begun carry what is known in `partial`. With `raise_errors=False` the result holds the error.
        """
        run = Collected(on_output)
        started = time.monotonic()
        details: dict[str, Any] = {"timeout": timeout, "script_length": len(script)}
        try:
            endpoint = self._endpoint(target_host, known_hosts)
            details |= {"protocol": "ssh", "port": endpoint.port, "auth_method": auth_method(credentials)}
            payload = assignments(parameters or {}) + _as_bytes(script)
            with self._connection(endpoint, credentials, connection) as open_connection:
                end = run_plain(
                    open_connection,
                    payload,
                    on_output=run.hear,
                    timeout=timeout,
                    output_limit=OUTPUT_LIMIT,
                    become=become,
                    become_password=credentials.become_password,
                    control=control,
                )
            fault = fault_of(end, timeout)
            result = run.result(end.exit_code, time.monotonic() - started, details, fault)
        except LibraryError as error:
            result = run.result(None, time.monotonic() - started, details, error)
        if result.error is not None and raise_errors:
            result.error.partial = replace(result, error=None)
            raise result.error
        return result

    def execute_script(
        self, target_host: str | Endpoint, script: str | bytes, credentials: Credentials, **options: Any
    ) -> ExecutionResult:
        """The same as `execute_bash`, under the name that all libraries share."""
        return self.execute_bash(target_host, script, credentials, **options)

    def test_connection(
        self,
        target_host: str | Endpoint,
        credentials: Credentials,
        *,
        known_hosts: KnownHosts | None = None,
    ) -> ConnectionTest:
        """How far a fresh connection gets: resolve, tcp, banner, identity, login, shell.

        Raises only `TargetInvalid` and `KnownHostsUnusable`; all else is in the result.
        """
        endpoint = self._endpoint(target_host, known_hosts)
        if self._manager is not None:
            return self._manager.test(endpoint, credentials)
        return check_target(endpoint, credentials, limits=self._deadlines)

    def get_library_info(self) -> dict[str, Any]:
        """Name, version, what it can do, and its time limits in seconds."""
        return {
            "name": "Linux SSH Library",
            "version": "1.0.0",
            "description": "Runs bash on Linux targets over SSH",
            "capabilities": [
                "bash execution",
                "streamed output",
                "sudo",
                "connection pooling",
                "parallel execution",
                "host key verification",
                "host certificates",
                "bastions",
                "cancellation",
            ],
            "supported_auth": ["password", "keyboard-interactive", "private_key", "certificate"],
            "default_port": 22,
            "timeouts": {name: getattr(self._deadlines, name) for name in Deadlines.__dataclass_fields__}
            | {"script": DEFAULT_TIMEOUT},
            "retry_settings": {"max_retries": 0, "reason": "what may have run is never repeated"},
            "dependencies": {"paramiko": version("paramiko"), "cryptography": version("cryptography")},
            "ready": True,
        }

    def _endpoint(self, target_host: str | Endpoint, known_hosts: KnownHosts | None) -> Endpoint:
        endpoint = parse_target(target_host)
        if endpoint.host_keys or endpoint.authorities or known_hosts is None:
            return endpoint
        return known_endpoint(Path(known_hosts), endpoint)

    @contextmanager
    def _connection(
        self, endpoint: Endpoint, credentials: Credentials, given: SSHConnection | None
    ) -> Iterator[SSHConnection]:
        if given is not None:
            yield given
        elif self._manager is not None:
            with self._manager.connection(endpoint, credentials) as pooled:
                yield pooled
        else:
            own = connect(endpoint, credentials, limits=self._deadlines)
            try:
                yield own
            finally:
                own.close()


def _as_bytes(script: str | bytes) -> bytes:
    return script.encode() if isinstance(script, str) else script


def assignments(parameters: Mapping[str, str]) -> bytes:
    """Shell assignments that give each parameter its value, whatever the value holds.

    Raises ValueError for a name that is not `[a-z][a-z0-9_]{0,63}` or a value with a NUL character.
    """
    lines = []
    for name, value in parameters.items():
        if not PARAMETER_NAME.fullmatch(name):
            raise ValueError(f"{name[:70]!r} is not a parameter name")
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a NUL character")
        lines.append(f"{name}={shlex.quote(value)}\n")
    return "".join(lines).encode()
