"""One practice host's sandbox: a long-lived bubblewrap with an executor as its process 1."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXECUTOR = Path(__file__).parent / "inside" / "executor.py"
LARGEST_COMMAND = 64 * 1024
LARGEST_ANSWER = 64 * 1024
START_SECONDS = 20.0
END_SECONDS = 3.0
DISK_FOLDERS = ("etc", "home", "root", "srv", "var")
SYSTEM_FOLDERS = ("bin", "lib", "lib64", "lib32")
PYTHON = "/opt/python"


class NoSandbox(Exception):
    """There is no sandbox, so nothing may be run. The text is bubblewrap's own, or what the proof found."""


class HostGone(Exception):
    """The practice host ended (or was restarted) before the command did."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: an exit code, or the number of the signal that ended it."""

    code: int | None = None
    signal: int | None = None


class Sandbox:
    """A running sandbox. Use it in one event loop only."""

    def __init__(self, process: subprocess.Popen[bytes], pid: int, channel: socket.socket) -> None:
        self.process = process
        self.pid = pid  # of its process 1, as this machine numbers it
        self.gone = asyncio.Event()
        self._channel = channel
        self._last = 0
        self._waiting: dict[int, asyncio.Future[Ended]] = {}
        channel.settimeout(0)
        asyncio.get_running_loop().add_reader(channel, self._read)

    def run(
        self, command: str | None, descriptors: tuple[int, int, int]
    ) -> tuple[int, asyncio.Future[Ended]]:
        """Start a login's command (None: a shell) on three descriptors; its number and its future end.

        Raises HostGone; ValueError for a command that is too long.
        """
        if len((command or "").encode()) > LARGEST_COMMAND:
            raise ValueError(f"a practice host takes commands of at most {LARGEST_COMMAND} bytes")
        if self.gone.is_set():
            raise HostGone
        self._last += 1
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = future
        message = {"do": "run", "id": self._last, "command": command}
        socket.send_fds(self._channel, [json.dumps(message).encode()], list(descriptors))
        return self._last, future

    def signal(self, number: int, signal_number: int) -> None:
        """Send a signal to the process group of a command that still runs."""
        if number in self._waiting and not self.gone.is_set():
            self._channel.send(json.dumps({"do": "signal", "id": number, "signal": signal_number}).encode())

    async def output(self, command: str, *, seconds: float = 10.0) -> str:
        """What a short command writes to its output, 64 KB at most; errors are dropped."""
        reading, writing = os.pipe()
        try:
            with Path(os.devnull).open("r+b") as nothing:
                _, ended = self.run(command, (nothing.fileno(), writing, nothing.fileno()))
        except BaseException:  # cancelled too: nobody else closes it
            os.close(reading)
            raise
        finally:
            os.close(writing)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        try:
            async with asyncio.timeout(seconds):
                text = await reader.read(LARGEST_ANSWER)
                while len(text) < LARGEST_ANSWER and (more := await reader.read(LARGEST_ANSWER)):
                    text += more
                await ended
        finally:
            transport.close()
        return text.decode("utf-8", errors="replace")

    def end(self) -> None:
        """End everything in it, and return when nothing of it is left."""
        self._lost()
        try:
            # Its process 1 ends when our socket is closed, the kernel ends all others first, and bubblewrap
            # waits for that; while after a kill of bubblewrap the last of them may outlive us for a moment.
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _read(self) -> None:
        try:
            data = self._channel.recv(LARGEST_ANSWER)
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        # Whatever runs in there may have found a way to this socket, so it is not believed to be well formed.
        try:
            message = json.loads(data)
            future = self._waiting.pop(message["id"], None)
            ended = Ended(code=_number(message, "code"), signal=_number(message, "signal"))
        except (ValueError, TypeError, KeyError):
            self.end()
            return
        if future is not None and not future.done():
            future.set_result(ended)

    def _lost(self) -> None:
        if self.gone.is_set():
            return
        self.gone.set()
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(HostGone())
                future.exception()  # whoever asked may have stopped to wait
        self._waiting.clear()


def _number(message: dict[str, Any], name: str) -> int | None:
    value = message.get(name)
    if value is not None and not (isinstance(value, int) and 0 <= value <= 255):
        raise ValueError(name)
    return value


async def start(root: Path, name: str, stand_ins: Path) -> Sandbox:
    """A sandbox named `name` whose disk is `root`. Nothing but the executor runs in it yet.

    Raises NoSandbox. The kernel ends it with the thread that calls this.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise NoSandbox("bubblewrap (bwrap) is not installed")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reading, writing = os.pipe()
    with theirs, os.fdopen(reading, "rb") as told:
        arguments = [bubblewrap, "--info-fd", str(writing), *_arguments(root, name, stand_ins)]
        process = subprocess.Popen(
            [*arguments, "--", *_executor(theirs.fileno())],
            pass_fds=(theirs.fileno(), writing),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
        os.close(writing)
        try:
            async with asyncio.timeout(START_SECONDS):
                pid = int(json.loads(await asyncio.to_thread(told.read))["child-pid"])
            sandbox = Sandbox(process, pid, ours)
            await sandbox.output("true")
        except (ValueError, KeyError, HostGone, TimeoutError, OSError) as error:
            process.kill()
            _, said = process.communicate()
            ours.close()
            raise NoSandbox(
                said.decode(errors="replace").strip() or f"bubblewrap said nothing ({error!r})"
            ) from None
    return sandbox


def _arguments(root: Path, name: str, stand_ins: Path) -> Iterator[str]:
    yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1")
    yield from ("--uid", "0", "--gid", "0", "--hostname", name, "--cap-drop", "ALL", "--clearenv")
    # The root itself is new at each start, so that nothing a script left on the disk can lead a mount astray.
    for folder in DISK_FOLDERS:
        yield from ("--bind", str(root / folder), f"/{folder}")
    yield from ("--ro-bind", str(stand_ins), "/opt/practice")
    # Of this machine: programs and libraries, read-only, and not those that administer it.
    for folder in SYSTEM_FOLDERS:
        real, link = Path("/usr", folder), Path("/", folder)
        if real.is_dir() and not real.is_symlink():
            yield from ("--ro-bind", str(real), str(real))
        if link.is_symlink():
            yield from ("--symlink", str(link.readlink()), str(link))
        elif link.is_dir():
            yield from ("--ro-bind", str(link), str(link))
    for stand_in in sorted((stand_ins / "bin").iterdir()):
        real = Path("/usr/bin", stand_in.name)
        # A link leads to /etc/alternatives, and in there to nowhere.
        if real.is_file() and not real.is_symlink():
            yield from ("--ro-bind", str(stand_in), str(real))
    yield from ("--ro-bind", str(stand_ins / "bin"), "/usr/sbin")
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run")  # noqa: S108
    # The kernel lets its user 0 write these even without capabilities, and started by root we are that user.
    yield from ("--ro-bind", "/proc/sys", "/proc/sys")
    yield from ("--ro-bind", str(EXECUTOR), "/opt/executor.py")
    if Path(sys.base_prefix) != Path("/usr"):
        prefix = Path(sys.base_prefix)
        yield from ("--ro-bind", str(_interpreter()), f"{PYTHON}/bin/python3")
        yield from ("--ro-bind", str(prefix / "lib"), f"{PYTHON}/lib")
    yield from ("--chdir", "/")


def _interpreter() -> Path:
    """This Python itself, not the one of a virtual environment that points to it."""
    return Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}").resolve()


def _executor(descriptor: int) -> list[str]:
    if Path(sys.base_prefix) == Path("/usr"):
        return [str(_interpreter()), "-I", "-S", "/opt/executor.py", str(descriptor)]
    # Its shared library may be beside it.
    environment = ["env", f"LD_LIBRARY_PATH={PYTHON}/lib"]
    return [*environment, f"{PYTHON}/bin/python3", "-I", "-S", "/opt/executor.py", str(descriptor)]


def signal_number(name: str) -> int | None:
    """The number of a signal that SSH names without SIG, like TERM."""
    found = getattr(signal, f"SIG{name}", None)
    return int(found) if isinstance(found, signal.Signals) else None
