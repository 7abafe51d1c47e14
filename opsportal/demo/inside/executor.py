"""Process 1 of a practice host: starts what its SSH server asks for, and says how it ended.

Runs inside the sandbox, alone with Python's standard library. It is asked over a socket that it inherits:
JSON messages `{"do": "run", "id", "command"}`, with the three descriptors for input, output and errors, and
`{"do": "signal", "id", "signal"}`. It answers `{"id", "code"}` or `{"id", "signal"}`. When the socket is
closed, or on SIGTERM (which is how `reboot` works in here), it ends, and the kernel ends all the others.
"""

import json
import os
import resource
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

LARGEST_MESSAGE = 128 * 1024
HOME = "/home/ops"
ENVIRONMENT = {
    "HOME": HOME,
    "USER": "ops",
    "LOGNAME": "ops",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "PATH": "/opt/practice/bin:/usr/local/bin:/usr/bin:/bin",
}
LIMITS = {resource.RLIMIT_FSIZE: 512 * 1024 * 1024, resource.RLIMIT_CORE: 0}
# Python ignores these two; a login's commands must find them as usual.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class Executor:
    """Commands by the numbers that the server gave them."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.numbers: dict[int, int] = {}  # by pid

    def serve(self) -> None:
        """Until the server is gone."""
        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(self.channel, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if woken in ready:
                    os.read(woken, 4096)
                    self._reap()
                if self.channel in ready and not self._take():
                    return

    def _take(self) -> bool:
        data, descriptors, _flags, _address = socket.recv_fds(self.channel, LARGEST_MESSAGE, 3)
        try:
            if not data:
                return False
            message = json.loads(data)
            if message["do"] == "run":
                self._run(message, descriptors)
            else:
                self._signal(message)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _run(self, message: dict[str, Any], descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            become(message["command"], descriptors)
        self.numbers[pid] = message["id"]

    def _signal(self, message: dict[str, Any]) -> None:
        for pid, number in self.numbers.items():
            if number == message["id"]:
                os.killpg(pid, message["signal"])

    def _reap(self) -> None:
        """Every ended process: the commands, and what their ends left to process 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self.numbers.pop(pid, None)
            if number is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            how = {"code": code} if code >= 0 else {"signal": -code}
            self.channel.send(json.dumps({"id": number, **how}).encode())


def become(command: str | None, descriptors: list[int]) -> None:
    """Turn this process into a login's command. Never returns."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (*IGNORED_BY_PYTHON, signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for place, descriptor in enumerate(descriptors):
            os.dup2(descriptor, place)
        os.closerange(3, 1024)
        os.umask(0o022)
        os.chdir(HOME if Path(HOME).is_dir() else "/")
        shell = ["bash", "-c", command] if command is not None else ["-bash"]
        os.execve("/bin/bash", shell, ENVIRONMENT)  # noqa: S606  a shell is what was asked for
    finally:
        os._exit(126)


if __name__ == "__main__":
    for kind, limit in LIMITS.items():
        resource.setrlimit(kind, (limit, limit))
    Executor(socket.socket(fileno=int(sys.argv[1]))).serve()
