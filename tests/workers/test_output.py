"""Output on its way into rows: nothing lost unseen, nothing twice."""

import pytest
from pytest_django import Settings

from automation.models import Attempt, OutputChunk
from automation.workers import output
from automation.workers.output import OutputStore
from credentials.masking import Masker
from credentials.secret import Secret

HEAD_BYTES = 4 * output.MEBIBYTE


def pieces(chunks: list[OutputChunk]) -> list[tuple[int, int]]:
    return [(chunk.offset, chunk.end) for chunk in chunks]


def test_small_output_is_stored_whole_and_at_once() -> None:
    attempt = Attempt()
    store = OutputStore(attempt, Masker([]))
    store.feed("stdout", b"hello\n")
    chunks, grown = store.flush()
    assert [bytes(chunk.data) for chunk in chunks] == [b"hello\n"]
    assert grown == [{"stream": "stdout", "offset": 0, "length": 6}]
    assert (attempt.stdout_remote, attempt.stdout_stored, attempt.stdout_dropped) == (6, 6, 0)


def test_a_large_piece_is_cut_into_chunks() -> None:
    store = OutputStore(Attempt(), Masker([]))
    store.feed("stderr", b"x" * (output.CHUNK_BYTES + 1))
    chunks, _ = store.flush()
    assert pieces(chunks) == [(0, output.CHUNK_BYTES), (output.CHUNK_BYTES, output.CHUNK_BYTES + 1)]


def test_beyond_the_cap_head_and_tail_are_kept_and_the_gap_is_counted() -> None:
    attempt = Attempt()
    store = OutputStore(attempt, Masker([]))
    written: list[OutputChunk] = []
    for number in range(100):
        store.feed("stdout", bytes([number]) * 65536 * 4)
        written += store.flush()[0]
    written += store.flush(last=True)[0]
    total = 100 * 65536 * 4
    assert attempt.stdout_stored + attempt.stdout_dropped == total == attempt.stdout_remote
    assert sum(len(chunk.data) for chunk in written) == attempt.stdout_stored
    assert attempt.stdout_stored <= HEAD_BYTES + output.TAIL_BYTES + 65536 * 4
    assert bytes(written[-1].data)[-1:] == bytes([99])


def test_as_much_of_the_beginning_is_kept_as_the_setting_says(settings: Settings) -> None:
    settings.OPSPORTAL_OUTPUT_MEGABYTES = 6
    attempt = Attempt()
    store = OutputStore(attempt, Masker([]))
    for _ in range(6):
        store.feed("stdout", b"x" * output.MEBIBYTE)
        store.flush()
    assert (attempt.stdout_stored, attempt.stdout_remote) == (6 * output.MEBIBYTE,) * 2
    store.feed("stdout", b"y")
    assert store.flush()[0] == []


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_every_chunk_stands_where_its_bytes_were(every: int) -> None:
    attempt = Attempt()
    store = OutputStore(attempt, Masker([]))
    sent = b"".join(b"%07d\n" % number for number in range(1_500_000))
    written: list[OutputChunk] = []
    for number, start in enumerate(range(0, len(sent), 50_000)):
        store.feed("stdout", sent[start : start + 50_000])
        if number % every == 0:
            written += store.flush()[0]
    written += store.flush(last=True)[0]
    assert all(bytes(chunk.data) == sent[chunk.offset : chunk.end] for chunk in written)
    assert attempt.stdout_dropped > 0


def test_a_reader_that_comes_later_gets_the_moving_tail_again() -> None:
    attempt = Attempt()
    store = OutputStore(attempt, Masker([]))
    store.feed("stdout", b"a" * HEAD_BYTES)
    store.feed("stdout", b"b" * 1000)
    store.flush()
    assert (attempt.stdout_remote, attempt.stdout_dropped) == (HEAD_BYTES, 0)


def test_a_secret_across_two_pieces_is_masked_and_offsets_stay_apart() -> None:
    attempt = Attempt()
    store = OutputStore(attempt, Masker([Secret("hunter2hunter2")]))
    store.feed("stdout", b"password hunter2h")
    first, _ = store.flush()
    store.feed("stdout", b"unter2 end")
    second, _ = store.flush(last=True)
    stored = b"".join(bytes(chunk.data) for chunk in first + second)
    assert stored == b"password ******** end"
    assert (attempt.stdout_remote, attempt.stdout_stored) == (27, 21)


@pytest.mark.parametrize("cut", range(1, 27))
def test_reading_on_after_any_cut_stores_the_same_bytes(cut: int) -> None:
    sent = b"password hunter2hunter2 end"
    attempt = Attempt()
    before = OutputStore(attempt, Masker([Secret("hunter2hunter2")]))
    before.feed("stdout", sent[:cut])
    stored = [bytes(c.data) for c in before.flush()[0]]
    after = OutputStore(attempt, Masker([Secret("hunter2hunter2")]))
    after.feed("stdout", sent[attempt.stdout_remote :])
    stored += [bytes(c.data) for c in after.flush(last=True)[0]]
    assert b"".join(stored) == b"password ******** end"


def test_a_secret_that_is_cut_in_two_is_masked_by_who_reads_on() -> None:
    attempt, masker = Attempt(), Masker([Secret("hunter2hunter2")])
    before = OutputStore(attempt, masker)
    before.feed("stdout", b"it is hunter2")
    stored = [bytes(c.data) for c in before.flush(last=True, cut=True)[0]]
    assert (stored, attempt.stdout_remote) == ([b"it is "], 6)
    after = OutputStore(attempt, masker)
    after.feed("stdout", b"hunter2hunter2\n")
    stored += [bytes(c.data) for c in after.flush(last=True)[0]]
    assert b"".join(stored) == b"it is ********\n"
