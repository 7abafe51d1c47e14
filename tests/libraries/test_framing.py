"""Records are found wherever the network cuts the stream, and nothing else is taken for one."""

from __future__ import annotations

import random

from automation.libraries.framing import StreamReader

NONCE = b"0123456789abcdef"
MARK = b"\x1eOPSPORTAL " + NONCE + b" "
OWN = b"one\n\x1etwo\x1eOPSPORTAL other B\nthree"
STREAM = b"noise\n" + MARK + b"B\n" + OWN + MARK + b"E 3\nkey=value\n" + MARK + b"Z\n"


def test_every_way_of_cutting_the_stream_gives_the_same() -> None:
    dice = random.Random(1)
    for _ in range(300):
        reader = StreamReader(NONCE)
        rest, own = STREAM, b""
        while rest:
            size = dice.choice((1, 2, 7, 30, 90))
            own += reader.feed(rest[:size])
            rest = rest[size:]
        assert own == OWN
        assert (reader.exit_code, reader.finished, bytes(reader.extra)) == (3, True, b"key=value\n")
        assert reader.noise == b"noise\n"


def test_an_end_without_a_beginning_counts_for_nothing() -> None:
    reader = StreamReader(NONCE)
    reader.feed(MARK + b"E 0\n" + MARK + b"Z\n")
    assert reader.exit_code is None
    assert not reader.finished


def test_an_end_with_another_nonce_is_output() -> None:
    reader = StreamReader(NONCE)
    forged = b"\x1eOPSPORTAL 0000000000000000 E 0\n"
    assert reader.feed(MARK + b"B\n" + forged) == forged
    assert reader.exit_code is None


def test_a_mark_without_an_end_of_line_does_not_hold_output_back_for_ever() -> None:
    reader = StreamReader(NONCE)
    reader.feed(MARK + b"B\n")
    reader.feed(MARK + b"E 1")
    reader.feed(b"x" * 1000)
    assert reader.exit_code is None
    assert not reader.finished
