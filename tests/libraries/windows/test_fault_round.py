"""Faults at random, from seeds: whatever breaks, a script starts at most once and its end is known."""

from __future__ import annotations

import random
import time

import pytest

from automation.libraries.envelope import End, Fenced, Order, Refused
from automation.libraries.errors import LibraryError
from opsportal.simulated_windows import Break, Piece, SimulatedWindows
from tests.libraries.windows.conftest import Caller

ROUNDS = 20
FAULTS = (
    Break.DROP,
    Break.LOSE_REPLY,
    Break.BUSY,
    Break.TRUNCATE,
    Break.HALF,
    Break.BAD_SEAL,
    Break.WRONG_RELATION,
    Break.EXPIRE,
)
VERBS = ("Create", "Command", "Send", "Receive", "Signal", "Delete")


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_script_starts_at_most_once_and_its_end_is_known(
    windows: SimulatedWindows, caller: Caller, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # The pauses between the tries are not what is tested.
    monkeypatch.setattr("automation.libraries.windows.follow.REATTACH", (0.01, 0.02, 0.05))
    monkeypatch.setattr("automation.libraries.windows.envelope.LOOK_AGAIN", 0.1)
    chance = random.Random(seed)
    pieces = [Piece(b"one\r\n"), Piece(b"two\r\n", after=0.1)]
    windows.script("work", pieces=pieces, seconds=0.1, exit_code=5)
    order = caller.order("work")
    for _ in range(chance.randint(1, 3)):
        windows.inject(chance.choice(FAULTS), chance.choice(VERBS), skip=chance.randint(0, 1))
    outcome: End | Refused | Fenced | None = None
    try:
        outcome = caller.run(order)
    except LibraryError as error:
        never_sent = not error.sent
        outcome = settle(caller, order)
        assert not never_sent or isinstance(outcome, Fenced)
    assert len(windows.played) == (1 if isinstance(outcome, End) else 0)
    if isinstance(outcome, End) and outcome.how == "ended":
        assert outcome.exit_code == 5
    # What never arrived whole left no guard file, so it may still start: once.
    assert isinstance(again(caller, order), Refused) or outcome == Refused("upload")
    assert len(windows.played) <= 1


def settle(caller: Caller, order: Order) -> Fenced | End:
    """As the next worker does: asked again until there is an answer."""
    for _ in range(10):
        caller.connection.reconnect()
        try:
            return caller.reclaim(order)
        except LibraryError:
            time.sleep(0.1)
    raise AssertionError("the end was never known")


def again(caller: Caller, order: Order) -> End | Refused | None:
    """Started once more, as nobody ever should."""
    for _ in range(5):
        caller.connection.reconnect()
        try:
            return caller.run(order)
        except LibraryError:
            continue
    return None
