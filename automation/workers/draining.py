"""Whether this worker command has been asked to end."""

import mmap
import time
from typing import Final


class SharedFlag:
    """A flag that processes forked after its making share.

    One byte of shared memory and no lock: a `multiprocessing.Event` blocks everybody for ever once a process
    was killed while it looked.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._memory[0] = 1

    def clear(self) -> None:
        self._memory[0] = 0

    def is_set(self) -> bool:
        return self._memory[0] == 1

    def wait(self, timeout: float) -> bool:
        """Up to `timeout` seconds; whether the flag is set."""
        end = time.monotonic() + timeout
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
        return self.is_set()


# Made at import, so before any fork; set by the worker command when SIGTERM arrives.
DRAINING: Final = SharedFlag()


def draining() -> bool:
    """True once the worker must end: a running shard starts nothing more and hands over."""
    return DRAINING.is_set()
