"""A simulated Windows target, for tests, benchmarks and the demo."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from opsportal.simulated_windows.behaviours import Behaviour
from opsportal.simulated_windows.console import Play
from opsportal.simulated_windows.exchange import Exchange
from opsportal.simulated_windows.http_server import Server
from opsportal.simulated_windows.injection import Break, Injected, Injections
from opsportal.simulated_windows.machine import Machine
from opsportal.simulated_windows.operations import Call, Operations
from opsportal.simulated_windows.programs import Played, Programs
from opsportal.simulated_windows.running import Shell
from opsportal.simulated_windows.settings import Settings

GRACE = 0.3  # seconds between Restart-Computer and the end of all that runs
TICK = 0.05  # seconds between two looks for shells whose time is over


class SimulatedWindows:
    """A WS-Management endpoint that plays a Windows machine; no PowerShell runs.

    A context manager: it listens inside of the block. `Settings()` is as strict as Windows: no Basic,
    nothing in clear.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.machine = Machine(self.settings.name, oracle=self.settings.oracle, state=self.settings.state)
        self.programs = Programs(self.machine)
        self.machine.on_restart = self._restart_soon
        self.operations = Operations(self.settings, self.programs)
        self.injections = Injections()
        self._exchange = Exchange(self.settings, self.operations, self.injections)
        self._server: Server | None = None
        self._switching = threading.Lock()
        self._stopped = threading.Event()
        self._port = self.settings.port

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen. After `stop` on the same port, with the machine as it was but without its shells."""
        self._stopped.clear()
        with self._switching:
            self._start()

    def _start(self) -> None:
        self._exchange.stopping.clear()
        settings = replace(self.settings, port=self._port)
        self._server = Server(settings, self._exchange, self.operations.expire)
        self._port = int(self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": TICK}, name="simulated Windows"
        ).start()

    def stop(self) -> None:
        """End all connections and shells."""
        self._stopped.set()
        with self._switching:
            self._stop()

    def _stop(self) -> None:
        if self._server is None:
            return
        self._exchange.stopping.set()
        self.operations.close_all()
        self._server.close()
        self._server = None

    def _restart_soon(self) -> None:
        threading.Thread(target=self._restart, name="restart of simulated Windows", daemon=True).start()

    def _restart(self) -> None:
        """Down after a moment, in which the command that asked for it can end, and up again."""
        if self._stopped.wait(GRACE):
            return
        with self._switching:
            if self._server is not None:
                self._stop()
                if not self._stopped.wait(self.settings.reboot_seconds):
                    self._start()

    @property
    def host(self) -> str:
        return self.settings.host

    @property
    def port(self) -> int:
        return self._port

    @property
    def endpoint(self) -> str:
        """The URL for a client."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.settings.tls else 'http'}://{host}:{self.port}/wsman"

    @property
    def shells(self) -> list[Shell]:
        """Those that are open now."""
        self.operations.expire()
        return list(self.operations.shells.values())

    @property
    def calls(self) -> Sequence[Call]:
        """The requests that were understood, in their order."""
        return list(self.operations.calls)

    @property
    def played(self) -> Sequence[Played]:
        """The PowerShell scripts that were started, with their parameters."""
        return list(self.programs.played)

    @property
    def connections(self) -> int:
        """How many were opened so far."""
        return self._server.connections if self._server is not None else 0

    def script(self, pattern: str, *, play: Play | None = None, **behaviour: Any) -> None:
        """What scripts (or command lines) do in which the regular expression `pattern` is found.

        Either a function of the console that returns the exit code, or the fields of a `Behaviour`.
        """
        self.programs.behaviours.add(pattern, play or Behaviour(**behaviour).play)

    def inject(
        self, fault: Break, verb: str = "", *, times: int = 1, skip: int = 0, seconds: float = 0
    ) -> Injected:
        """Let the next `times` requests go wrong whose action ends in `verb`, after `skip` good ones."""
        return self.injections.add(Injected(fault, verb, times, skip, seconds))

    def expire_shells(self) -> None:
        """Close every shell, as if its idle time were over."""
        self.operations.close_all()

    def drop_connections(self) -> None:
        """Break every connection; shells and commands live on."""
        if self._server is not None:
            self._server.drop_connections()
