"""What supervised processes write: shown on our standard output and kept in files."""

import logging
import queue
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, TextIO

from opsportal.log_lines import printable

LONGEST_LINE = 64 * 1024
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5
LINES_WAITING = 2000


class Console:
    """Standard output as a place that never makes a process wait.

    When it is blocked, lines are left out there; the files have them all.
    """

    def __init__(self, logs: Path, output: TextIO = sys.stdout) -> None:
        logs.mkdir(mode=0o700, exist_ok=True)
        self.logs = logs
        self.output = output
        self.lines: queue.Queue[str] = queue.Queue(LINES_WAITING)
        threading.Thread(target=self._write, name="console", daemon=True).start()

    def say(self, text: str, *, name: str = "up") -> None:
        try:
            self.lines.put_nowait(f"{name:<12} | {printable(text)}\n")
        except queue.Full:
            return

    def follow(self, stream: IO[bytes], *, name: str) -> threading.Thread:
        """Copy a process's output until it ends."""
        thread = threading.Thread(target=self._copy, args=(stream, name), name=f"log {name}", daemon=True)
        thread.start()
        return thread

    def flush(self) -> None:
        """Wait, but not long, until what was said is written."""
        done = threading.Thread(target=self.lines.join, daemon=True)
        done.start()
        done.join(2)

    def _copy(self, stream: IO[bytes], name: str) -> None:
        file = RotatingFileHandler(
            self.logs / f"{name}.log", maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
        )
        with stream:
            while line := stream.readline(LONGEST_LINE):
                text = printable(line.decode("utf-8", errors="replace").rstrip("\r\n"))
                file.handle(logging.makeLogRecord({"msg": text}))
                self.say(text, name=name)
        file.close()

    def _write(self) -> None:
        while True:
            line = self.lines.get()
            try:
                self.output.write(line)
                if self.lines.empty():
                    self.output.flush()
            except OSError:
                pass  # nobody reads us any more; the files go on
            finally:
                self.lines.task_done()
