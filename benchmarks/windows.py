"""PowerShell over WinRM beside `Session.run_ps` and Ansible's winrm plugin, all on one simulated target.

No PowerShell runs: what is measured is the way to it and back. Messages are encrypted by NTLM throughout.
"""

from __future__ import annotations

import json as json_text
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from winrm import Session

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.types import Stream
from automation.libraries.windows.http import Link
from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from benchmarks.figures import Case, Column, table, write_json
from credentials.secret import Secret

SCRIPT = "Write-Output 'hello'"
MUCH = 10_000_000
USER, PASSWORD = "ops", "Simulated-1"
BEHAVIOURS = [
    {"pattern": "much output", "fill": MUCH},
    {"pattern": "two lines", "pieces": [{"data": "one\r\n"}, {"data": "two\r\n", "after": 1.0}]},
]
Work = Callable[[], None]


class Counted:
    """Requests that left this process, by whatever client: counted at the last door before the socket."""

    def __init__(self) -> None:
        self.requests = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        theirs, ours = HTTPAdapter.send, Link.post

        def send(adapter: HTTPAdapter, *given: Any, **named: Any) -> requests.Response:
            self.requests += 1
            return theirs(adapter, *given, **named)

        def post(link: Link, *given: Any, **named: Any) -> Any:
            self.requests += 1
            return ours(link, *given, **named)

        HTTPAdapter.send, Link.post = send, post  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            HTTPAdapter.send, Link.post = theirs, ours  # type: ignore[method-assign]


@contextmanager
def simulated_target(folder: Path) -> Iterator[int]:
    """A simulated Windows target in a process of its own; its port."""
    behaviours = folder / "behaviours.json"
    behaviours.write_text(json_text.dumps(BEHAVIOURS), encoding="utf-8")
    command = [sys.executable, "-m", "opsportal.simulated_windows", "--listen", "127.0.0.1:0"]
    target = subprocess.Popen(
        [*command, "--behaviours", str(behaviours)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert target.stdout is not None
        yield int(json_text.loads(target.stdout.readline())["port"])
    finally:
        target.terminate()
        target.wait(timeout=10)


class Bench:
    """Each way to have one script run."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._endpoint = WinRMEndpoint("127.0.0.1", port, https=False, method="ntlm")
        self._login = WindowsCredentials(USER, password=Secret(PASSWORD))
        self._manager = ConnectionManager()
        self._warm = WindowsPowerShellLibrary(manager=self._manager)
        self._inventory = folder / "inventory.ini"
        self._folder = folder
        self.counted = Counted()

    def ways(self) -> dict[str, Work]:
        """By name; Ansible only where it is installed."""
        found: dict[str, Work] = {"run_ps": self._run_ps, "ours, cold": self._cold, "ours, warm": self._run}
        if self._ansible() is not None:
            found["ansible winrm"] = self._run_ansible
        return found

    def _session(self) -> Session:
        url = f"http://127.0.0.1:{self._port}/wsman"
        return Session(url, (USER, PASSWORD), transport="ntlm", proxy=None)

    def _run_ps(self) -> None:
        assert self._session().run_ps(SCRIPT).status_code == 0

    def _cold(self) -> None:
        result = WindowsPowerShellLibrary().execute_powershell(self._endpoint, SCRIPT, self._login)
        assert result.success

    def _run(self) -> None:
        assert self._warm.execute_powershell(self._endpoint, SCRIPT, self._login).success

    def _ansible(self) -> str | None:
        return shutil.which("ansible", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    def _run_ansible(self) -> None:
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self._port,
            "ansible_user": USER,
            "ansible_password": PASSWORD,
            "ansible_connection": "winrm",
            "ansible_winrm_scheme": "http",
            "ansible_winrm_transport": "ntlm",
        }
        words = " ".join(f"{name}={value}" for name, value in variables.items())
        self._inventory.write_text(f"simulated {words}\n", encoding="utf-8")
        settings = self._folder / "ansible.cfg"
        settings.touch()  # so that nobody else's is read
        home = {"ANSIBLE_HOME": str(self._folder / "ansible"), "ANSIBLE_CONFIG": str(settings)}
        subprocess.run(
            [str(self._ansible()), "-i", str(self._inventory), "all", "-m", "raw", "-a", SCRIPT],
            env={**os.environ, **home},
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=120,
        )

    def once(self, work: Work) -> dict[str, float]:
        """Wall seconds and requests of one command."""
        before, started = self.counted.requests, time.perf_counter()
        work()
        wall = time.perf_counter() - started
        figures = {"wall": wall}
        if self.counted.requests > before:
            figures["requests"] = float(self.counted.requests - before)
        return figures

    def much_of_ours(self) -> dict[str, float]:
        """10 MB of output through the library, which keeps all of it; megabytes that the process grew."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures = self.once(self._read_much)
        figures["growth"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        return figures

    def _read_much(self) -> None:
        result = self._warm.execute_powershell(self._endpoint, "# much output", self._login)
        assert len(result.stdout) == MUCH

    def much_of_theirs(self) -> dict[str, float]:
        """The same by pywinrm's own loop."""

        def work() -> None:
            assert len(self._session().run_ps("# much output").std_out) == MUCH

        return self.once(work)

    def first_output(self) -> dict[str, float]:
        """When the first line is seen of a script that runs for a second."""
        seen: list[float] = []
        started = time.perf_counter()

        def hear(_stream: Stream, _data: bytes) -> None:
            seen.append(time.perf_counter() - started)

        self._warm.execute_powershell(self._endpoint, "# two lines", self._login, on_output=hear)
        return {"first": seen[0], "wall": time.perf_counter() - started}

    def close(self) -> None:
        self._manager.close()


def run(*, rounds: int, folder: Path, json: Path) -> str:
    """Measure and return the tables; everything measured is in the JSON file."""
    with simulated_target(folder) as port:
        bench = Bench(port, folder)
        ways = bench.ways()
        short = {name: Case(name) for name in ways}
        much = [Case("10 MB, ours"), Case("10 MB, pywinrm")]
        live = Case("first output, ours")
        with bench.counted.counting():
            # Ours first: the process's memory only ever shows how far it grew.
            bench.once(ways["ours, warm"])
            for _ in range(min(rounds, 5)):
                much[0].add(**bench.much_of_ours())
                live.add(**bench.first_output())
            for _ in range(min(rounds, 5)):
                much[1].add(**bench.much_of_theirs())
            for number in range(rounds + 1):
                for name, work in ways.items():
                    figures = bench.once(work)
                    if number:  # the first of each warms up
                        short[name].add(**figures)
        bench.close()
    cases = [*short.values(), *much, live]
    write_json(json, "windows", {"rounds": rounds, "script": SCRIPT, "much": MUCH}, cases)
    wall = Column("wall ms", "wall", unit=1000)
    requests_made = Column("requests", "requests")
    beside = [Column("wall / run_ps", "wall", "run_ps"), Column("requests / run_ps", "requests", "run_ps")]
    parts = [table(list(short.values()), [wall, *beside, requests_made])]
    growth = Column("grew by MB", "growth")
    parts += [table(much, [wall, Column("wall / pywinrm", "wall", "10 MB, pywinrm"), growth])]
    parts += [table([live], [Column("first line ms", "first", unit=1000), wall])]
    if "ansible winrm" not in ways:
        parts += ["Ansible is not installed here, so it was left out."]
    return "\n\n".join(parts)
