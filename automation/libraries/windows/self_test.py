"""What this portal needs of a Windows target, tried one by one on a real one.

The rest is proven on a simulated target, where no PowerShell runs; what powershell.exe does shows
here. Everything it does on the target is harmless: it writes, sleeps, starts and ends one `ping`, and puts a
file into its own folder that it takes away again.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from automation.libraries.envelope import Control, End, Fenced, Order, Refused
from automation.libraries.errors import LibraryError
from automation.libraries.plain import PlainEnd
from automation.libraries.results import ConnectionTest
from automation.libraries.staging import LocalFile
from automation.libraries.types import Credentials, OnOutput, Stream
from automation.libraries.windows import envelope
from automation.libraries.windows.connection import WinRMConnection, connect
from automation.libraries.windows.plain import run_powershell
from automation.libraries.windows.script import Values, pack_script
from automation.libraries.windows.self_test_files import FileScripts, try_files
from automation.libraries.windows.staging import stage_on_windows
from automation.libraries.windows.target_check import check_windows_target
from automation.libraries.windows.types import Record, WinRMEndpoint

SECONDS = 90.0
WORDS = "Ω漢🙂 zażółć '\"`$;&"
INSTALLATION = "self-test"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was tried; `detail` says what was found, or what was expected instead."""

    name: str
    ok: bool
    detail: str
    seconds: float

    def as_dict(self) -> dict[str, str | bool | float]:
        """All of it, for a report."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "seconds": round(self.seconds, 3)}


class Wrong(Exception):
    """The target did something else than expected; the message says what."""


@dataclass(frozen=True)
class _Ran:
    exit_code: int | None
    output: str
    records: list[Record]
    how: str


def self_test(
    endpoint: WinRMEndpoint, credentials: Credentials, *, file_scripts: FileScripts | None = None
) -> Iterator[CheckResult]:
    """Try everything, one after the other; files where `file_scripts` gives the scripts for them.

    Raises nothing of the family; a check that fails tells why.
    """
    started = time.monotonic()
    reached = check_windows_target(endpoint, credentials)
    yield CheckResult("connection", reached.success, _phases(reached), time.monotonic() - started)
    if not reached.success:
        return
    tests = _SelfTest(endpoint, credentials, file_scripts)
    for name, check in tests.checks().items():
        started = time.monotonic()
        try:
            ok, detail = True, check()
        except Wrong as wrong:
            ok, detail = False, str(wrong)
        except LibraryError as error:
            ok, detail = False, f"{error.code}: {error}"
        yield CheckResult(name, ok, detail, time.monotonic() - started)
    tests.close()


def _phases(reached: ConnectionTest) -> str:
    phases = ", ".join(f"{phase.name} {phase.code} {phase.duration:.2f} s" for phase in reached.phases)
    sealed = "messages encrypted" if reached.details["message_encryption"] else "encrypted by TLS"
    return f"{phases}; {reached.details['auth_method']}, {sealed}"


class _SelfTest:
    def __init__(
        self, endpoint: WinRMEndpoint, credentials: Credentials, file_scripts: FileScripts | None
    ) -> None:
        self._endpoint = endpoint
        self._file_scripts = file_scripts
        self._credentials = credentials
        self._connection = connect(endpoint, credentials)

    def close(self) -> None:
        self._connection.close()

    def checks(self) -> dict[str, Callable[[], str]]:
        files = {"files": self._files} if self._file_scripts is not None else {}
        return {
            "bootstrap": self._bootstrap,
            "letters of all kinds": self._letters,
            "typed parameters": self._types,
            "exit codes": self._exit_codes,
            "streams": self._streams,
            "script of 1 MB": self._long_script,
            "live output": self._live,
            "cancel ends child processes": self._cancel,
            "guard": self._guard,
            "reading on after a loss": self._reattach,
            **files,
        }

    def _run(
        self,
        script: str,
        parameters: Values | None = None,
        *,
        control: Control | None = None,
        on_output: OnOutput | None = None,
    ) -> _Ran:
        output = bytearray()
        records: list[Record] = []

        def hear(stream: Stream, data: bytes) -> None:
            if stream == "stdout":
                output.extend(data)
            if on_output is not None:
                on_output(stream, data)

        end = run_powershell(
            self._connection,
            pack_script(script, parameters),
            on_output=hear,
            on_record=records.append,
            timeout=SECONDS,
            output_limit=2**24,
            control=control,
        )
        return _Ran(end.exit_code, output.decode("utf-8", "replace").strip(), records, end.how)

    def _bootstrap(self) -> str:
        ran = self._run('Write-Output "PowerShell $($PSVersionTable.PSVersion)"')
        _expect(ran.exit_code == 0, f"exit code {ran.exit_code}, {ran.records[:2]}")
        return ran.output

    def _letters(self) -> str:
        ran = self._run("Write-Output $words", {"words": WORDS})
        _expect(ran.output == WORDS, f"{ran.output!r} instead of {WORDS!r}")
        return "intact in both directions"

    def _types(self) -> str:
        script = "Write-Output $number.GetType().Name $flag.GetType().Name $words.Count"
        ran = self._run(script, {"number": 7, "flag": True, "words": ["a", "b"]})
        found = ran.output.split()
        _expect(found[1:] == ["Boolean", "2"] and found[0].startswith("Int"), f"{found}")
        return " ".join(found)

    def _exit_codes(self) -> str:
        cases = {"exit 3": 3, "cmd.exe /c 'exit 5'": 5, "throw 'wrong'": 1, "Write-Output 'fine'": 0}
        found = {script: self._run(script).exit_code for script in cases}
        _expect(found == cases, f"{found}")
        return "exit 3, native 5, throw 1, end 0"

    def _streams(self) -> str:
        ran = self._run(
            "Write-Warning 'w'\nWrite-Verbose 'v' -Verbose\nWrite-Error 'e' -ErrorAction Continue\n"
            "Write-Information 'i' -InformationAction Continue\nWrite-Output 'out'"
        )
        kinds = {record.kind for record in ran.records}
        missing = {"warning", "verbose", "error"} - kinds
        _expect(not missing and "out" in ran.output, f"missing {sorted(missing)}, output {ran.output[:80]!r}")
        return f"apart: {', '.join(sorted(kinds))}"

    def _long_script(self) -> str:
        ran = self._run("# a line of filler with Ω漢🙂\n" * 33_000 + "Write-Output 'whole'")
        _expect(ran.output == "whole", f"exit code {ran.exit_code}, output {ran.output[:80]!r}")
        return "arrived whole"

    def _live(self) -> str:
        heard: list[float] = []
        script = "Write-Output 'one'; Start-Sleep -Seconds 2; Write-Output 'two'"
        self._run(script, on_output=lambda _stream, _data: heard.append(time.monotonic()))
        apart = heard[-1] - heard[0] if heard else 0.0
        _expect(apart > 1, "the first line came with the last")
        return f"lines came {apart:.1f} s apart"

    def _cancel(self) -> str:
        control = Control()
        said = bytearray()

        def hear(_stream: Stream, data: bytes) -> None:
            said.extend(data)
            if b"\n" in said:
                threading.Timer(0.5, control.cancel).start()

        script = (
            "$child = Start-Process ping.exe -ArgumentList '-n 60 127.0.0.1' -PassThru\n"
            "Write-Output $child.Id\nStart-Sleep -Seconds 60"
        )
        ran = self._run(script, control=control, on_output=hear)
        _expect(ran.how == "cancelled", f"it ended as {ran.how}")
        child = ran.output.split()[0] if ran.output else "0"
        look = "if (Get-Process -Id $child -ErrorAction SilentlyContinue) { Write-Output 'lives' }"
        left = self._run(look, {"child": int(child) if child.isdigit() else 0}).output
        _expect(not left, f"the script ended, but its child {child} still runs")
        return "script and child have ended"

    def _order(self, script: str, environment: Mapping[str, str] | None = None) -> Order:
        found = envelope.probe(
            self._connection, installation=INSTALLATION, spool=None, deadline=time.monotonic() + SECONDS
        )
        _expect(found.spool is not None, "no directory for guard files could be made")
        return Order(
            attempt=uuid.uuid4().hex,
            installation=INSTALLATION,
            payload=pack_script(script, environment=environment),
            timeout=SECONDS,
            spool=found.spool,
            spool_id=found.spool_id or "",
        )

    def _carry(self, connection: WinRMConnection, order: Order, on_output: OnOutput) -> End | Refused:
        return envelope.run(
            connection,
            order,
            on_started=_nothing,
            on_output=on_output,
            control=Control(),
            deadline=time.monotonic() + SECONDS,
        )

    def _reclaim(self, order: Order) -> Fenced | End:
        return envelope.reclaim(
            self._connection,
            order.attempt,
            intent_age=1.0,
            spool=order.spool or "",
            spool_id=order.spool_id,
            offsets=(0, 0),
            on_output=_drop,
            control=Control(),
            deadline=time.monotonic() + SECONDS,
        )

    def _guard(self) -> str:
        order = self._order("Write-Output 'ran'; exit 4")
        first, second = (self._carry(self._connection, order, _drop) for _ in range(2))
        _expect(isinstance(first, End) and first.exit_code == 4, f"the first start gave {first}")
        _expect(second == Refused("exists"), f"the second start gave {second}")
        never = self._order("Write-Output 'ran'")
        fenced = self._reclaim(never)
        _expect(isinstance(fenced, Fenced) and fenced.proven, f"the fence gave {fenced}")
        late = self._carry(self._connection, never, _drop)
        _expect(late == Refused("fenced"), f"a start after the fence gave {late}")
        return f"started once, fenced; own ids are {'taken' if self._connection.own_ids else 'refused'}"

    def _reattach(self) -> str:
        order = self._order("Write-Output 'one'; Start-Sleep -Seconds 4; Write-Output 'two'; exit 6")
        other = connect(self._endpoint, self._credentials)
        try:
            self._carry(other, order, lambda _stream, _data: other.cut())
        except LibraryError:
            end = self._reclaim(order)
        else:
            raise Wrong("the connection could not be given up in the middle")
        finally:
            other.close()
        _expect(isinstance(end, End) and (end.how, end.exit_code) == ("ended", 6), f"it ended as {end}")
        return "another connection read on to the end"

    def _files(self) -> str:
        assert self._file_scripts is not None  # noqa: S101 -- else this is not among the checks
        spool = self._order("").spool
        place = f"{spool}\\self-test-{uuid.uuid4().hex}.txt"
        wrong = try_files(self, place, self._file_scripts)
        _expect(not wrong, wrong)
        return "put in place, replaced, fetched, brought back and taken away"

    def stage(self, file: LocalFile) -> str:
        """Bring a file into the spool."""
        spool = self._order("").spool or ""
        deadline = time.monotonic() + SECONDS
        found = stage_on_windows(self._connection, file, spool=spool, control=Control(), deadline=deadline)
        return found or ""

    def change(self, script: str, environment: Mapping[str, str]) -> tuple[str, int | None]:
        """Run a changing script in the envelope: its attempt and exit code."""
        order = self._order(script, environment)
        end = self._carry(self._connection, order, _drop)
        return order.attempt, end.exit_code if isinstance(end, End) else None

    def read(self, script: str, on_output: OnOutput) -> PlainEnd:
        """Run a reading script."""
        return run_powershell(
            self._connection,
            pack_script(script),
            on_output=on_output,
            timeout=SECONDS,
            output_limit=2**24,
        )


def _nothing() -> None:
    """Nobody wants to know."""


def _drop(_stream: Stream, _data: bytes) -> None:
    """Output that nobody wants to see."""


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - it reads like an assertion
    if not holds:
        raise Wrong(otherwise)
