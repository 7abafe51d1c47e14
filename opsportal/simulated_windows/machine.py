"""What the simulated machine is and remembers: services, files, boot time, and what was done to it."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsportal.simulated_windows.running import Command, Process
from opsportal.simulated_windows.settings import NAME

STATE = "simulated-windows.json"


class NoSuchService(Exception):
    """The name is in the message."""


class ServiceStopped(Exception):
    """A service that is not running was asked to stop or pause."""


@dataclass
class Service:
    name: str
    display_name: str
    status: str = "Running"
    start_type: str = "Automatic"


@dataclass(frozen=True)
class Effect:
    """Something that changed the machine. `at` is seconds since the epoch."""

    kind: str
    what: str
    at: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Event:
    """An entry of an event log."""

    at: datetime
    number: int
    level: str
    provider: str
    message: str


@dataclass(frozen=True)
class Hotfix:
    """An update that is installed."""

    name: str
    what: str
    installed: datetime


def _events() -> dict[str, list[Event]]:
    def at(hour: int) -> datetime:
        return datetime(2026, 1, 5, hour, tzinfo=UTC)

    return {
        "System": [
            Event(at(6), 6005, "Information", "EventLog", "The Event log service was started."),
            Event(
                at(7), 7036, "Information", "Service Control Manager", "The Print Spooler service is running."
            ),
            Event(at(8), 7031, "Error", "Service Control Manager", "The BITS service ended unexpectedly."),
        ],
        "Application": [Event(at(9), 1000, "Error", "Application Error", "Faulting application: old.exe")],
    }


def _services() -> dict[str, Service]:
    found = [
        Service("Spooler", "Print Spooler"),
        Service("W3SVC", "World Wide Web Publishing Service"),
        Service("WinRM", "Windows Remote Management (WS-Management)"),
        Service("wuauserv", "Windows Update", "Stopped", "Manual"),
        Service("BITS", "Background Intelligent Transfer Service", "Stopped", "Manual"),
    ]
    return {service.name.lower(): service for service in found}


class Machine:
    """Safe to use from many threads. With `state` it is remembered in that directory, over restarts too."""

    def __init__(self, name: str = NAME, *, oracle: Path | None = None, state: Path | None = None) -> None:
        self.name = name
        self.oracle = oracle
        self.boot_time = time.time() - 86_400
        self.boot_id = 1
        self.services = _services()
        self.files: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        """Files that are not text."""
        self.folders: set[str] = set()
        self.on_restart: Callable[[], None] | None = None
        self.effects: list[Effect] = []
        self.hotfixes = [
            Hotfix("KB5000001", "Update", datetime(2025, 12, 9, tzinfo=UTC)),
            Hotfix("KB5000002", "Security Update", datetime(2026, 1, 13, tzinfo=UTC)),
        ]
        self.events = _events()
        self.sites = {"Default Web Site": "Started", "shop": "Started"}
        self.reboot_pending = False
        self.sessions = [("administrator", "console", "1", "Active")]
        self._lock = threading.RLock()
        self._processes: dict[int, Process] = {}
        self._numbers = itertools.count(4000, 4)
        self._file = state / STATE if state is not None else None
        if self._file is not None and self._file.exists():
            self._read(json.loads(self._file.read_text(encoding="utf-8")))

    def _read(self, known: dict[str, Any]) -> None:
        self.boot_time = known["boot_time"]
        self.boot_id = known["boot_id"]
        self.folders = set(known["folders"])
        self.files = known["files"]
        packed = known.get("contents", {})
        self.contents = {name: base64.b64decode(text) for name, text in packed.items()}
        self.services = {name: Service(**fields) for name, fields in known["services"].items()}

    def _keep(self) -> None:
        if self._file is None:
            return
        known = {
            "boot_time": self.boot_time,
            "boot_id": self.boot_id,
            "folders": sorted(self.folders),
            "files": self.files,
            "contents": {name: base64.b64encode(data).decode() for name, data in self.contents.items()},
            "services": {name: asdict(service) for name, service in self.services.items()},
        }
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(known), encoding="utf-8")
        fresh.replace(self._file)

    def done(self, kind: str, what: str) -> None:
        """Note an effect, in the oracle file too."""
        effect = Effect(kind, what)
        with self._lock:
            self.effects.append(effect)
            if self.oracle is not None:
                with self.oracle.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(effect)) + "\n")
            self._keep()

    def count(self, kind: str, what: str | None = None) -> int:
        with self._lock:
            return sum(effect.kind == kind and what in (None, effect.what) for effect in self.effects)

    def service(self, name: str) -> Service:
        """By its name or display name, in any case. Raises NoSuchService."""
        with self._lock:
            for service in self.services.values():
                if name.lower() in (service.name.lower(), service.display_name.lower()):
                    return service
        raise NoSuchService(name)

    def start_service(self, name: str) -> Service:
        with self._lock:
            service = self.service(name)
            if service.status != "Running":
                service.status = "Running"
                self.done("service started", service.name)
            return service

    def stop_service(self, name: str) -> Service:
        with self._lock:
            service = self.service(name)
            if service.status != "Stopped":
                service.status = "Stopped"
                self.done("service stopped", service.name)
            return service

    def restart_service(self, name: str) -> Service:
        with self._lock:
            service = self.service(name)
            service.status = "Running"
            self.done("service restarted", service.name)
            return service

    def set_site(self, name: str, state: str) -> bool:
        """Start or stop a web site; False where there is none of this name."""
        with self._lock:
            known = next((site for site in self.sites if site.lower() == name.lower()), None)
            if known is None:
                return False
            self.sites[known] = state
            self.done(f"site {state.lower()}", known)
            return True

    def restart(self) -> None:
        with self._lock:
            self.reboot_pending = False
            self.boot_time = time.time()
            self.boot_id += 1
            self._processes.clear()
            self.done("restarted", self.name)
        if self.on_restart is not None:
            self.on_restart()

    @property
    def booted(self) -> datetime:
        return datetime.fromtimestamp(self.boot_time, tz=UTC)

    @property
    def uptime(self) -> float:
        """Seconds."""
        return time.time() - self.boot_time

    def process(self, command: Command) -> Process:
        """A new process that lives as long as the command runs."""
        with self._lock:
            process = Process(next(self._numbers), time.time_ns() // 100, command)
            self._processes = {number: old for number, old in self._processes.items() if old.command.running}
            self._processes[process.number] = process
            return process

    def process_lives(self, number: int, ticks: int) -> bool:
        with self._lock:
            process = self._processes.get(number)
            return process is not None and process.ticks == ticks and process.command.running

    def make_folder(self, path: str) -> None:
        with self._lock:
            self.folders.add(path.lower())
            self._keep()

    def has_folder(self, path: str) -> bool:
        with self._lock:
            return path.lower() in self.folders

    def folder_id(self, path: str) -> str:
        """What the file `id` in the folder holds; it is made where there is none. `-` without a folder."""
        with self._lock:
            if not self.has_folder(path):
                return "-"
            self.create_new(f"{path}\\id", uuid.uuid4().hex)
            return self.files[f"{path}\\id".lower()]

    def remove_folder(self, path: str) -> None:
        """With all that is in it."""
        with self._lock:
            self.folders.discard(path.lower())
            self.files = {
                name: text for name, text in self.files.items() if not name.startswith(f"{path.lower()}\\")
            }
            self.contents = {
                name: data for name, data in self.contents.items() if not name.startswith(f"{path.lower()}\\")
            }
            self._keep()

    def create_new(self, path: str, text: str) -> bool:
        """As `[IO.FileMode]::CreateNew`: False, and nothing done, where the file exists."""
        with self._lock:
            if path.lower() in self.files:
                return False
            self.files[path.lower()] = text
            self.done("file created", path)
            return True

    def read(self, path: str) -> str | None:
        with self._lock:
            return self.files.get(path.lower())

    def write(self, path: str, text: str, *, append: bool = False) -> None:
        with self._lock:
            self.files[path.lower()] = (self.files.get(path.lower(), "") if append else "") + text
            self.done("file appended" if append else "file written", path)

    def read_bytes(self, path: str) -> bytes | None:
        with self._lock:
            text = self.files.get(path.lower())
            return self.contents.get(path.lower()) if text is None else text.encode()

    def write_bytes(self, path: str, data: bytes) -> None:
        with self._lock:
            self.files.pop(path.lower(), None)
            self.contents[path.lower()] = data
            self.done("file written", path)

    def remove(self, path: str) -> bool:
        with self._lock:
            found = self.files.pop(path.lower(), None) is not None
            found = self.contents.pop(path.lower(), None) is not None or found
            if found:
                self.done("file removed", path)
            return found
