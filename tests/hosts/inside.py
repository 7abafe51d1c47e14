"""Small parts that run as a process of their own, some inside a host's network namespace.

Started by path, so it imports nothing of this package.
"""

import contextlib
import ctypes
import fcntl
import heapq
import random
import select
import socket
import struct
import sys
import time

_SIOCETHTOOL = 0x8946
_SWITCHED_OFF = (0x17, 0x19, 0x1F, 0x24, 0x2C)  # tx and rx checksums, sg, tso, gso, gro
_OUTGOING = 4  # a frame that we sent ourselves
_ALL_PROTOCOLS = 3


def greets(address: str, port: int = 22, timeout: float = 1.0) -> bool:
    """Whether an SSH server says its first line there."""
    try:
        with socket.create_connection((address, port), timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False


def plain_frames(device: str) -> None:
    """Do checksums and segmentation in software, so that a process can carry the frames."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _SWITCHED_OFF:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value)) + bytes(16)
            with contextlib.suppress(OSError):
                fcntl.ioctl(control, _SIOCETHTOOL, request)


def carry(one: str, two: str, milliseconds: float, jitter: float) -> None:
    """Carry frames between two devices for ever, each held back for a while, their order kept."""
    ends = [_raw_socket(one), _raw_socket(two)]
    queue: list[tuple[float, int, int, bytes]] = []
    number, last = 0, [0.0, 0.0]
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else 30.0
        ready, _, _ = select.select(ends, [], [], wait)
        now = time.monotonic()
        for end in ready:
            side = ends.index(end)
            for frame in _frames(end):
                due = now + max(0.0, milliseconds + random.uniform(-jitter, jitter)) / 1000
                last[side] = max(due, last[side])
                number += 1
                heapq.heappush(queue, (last[side], number, 1 - side, frame))
        while queue and queue[0][0] <= time.monotonic():
            _, _, side, frame = heapq.heappop(queue)
            with contextlib.suppress(OSError):
                ends[side].send(frame)


def _raw_socket(device: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
    end.bind((device, _ALL_PROTOCOLS))
    end.setblocking(False)
    return end


def _frames(end: socket.socket) -> list[bytes]:
    frames = []
    with contextlib.suppress(OSError):
        for _ in range(256):
            frame, where = end.recvfrom(65535)
            if where[2] != _OUTGOING:
                frames.append(frame)
    return frames


def main(argv: list[str]) -> int:
    """`greets ADDRESS`, `plain DEVICE` or `carry ONE TWO MS JITTER`."""
    what, *rest = argv
    if what == "greets":
        return 0 if greets(rest[0]) else 1
    if what == "plain":
        plain_frames(rest[0])
        return 0
    carry(rest[0], rest[1], float(rest[2]), float(rest[3]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
