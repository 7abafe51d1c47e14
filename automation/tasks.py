"""What the queue can wake: each task looks at the row of that number and decides for itself what is due.

While the portal is frozen nothing is: the sweeper wakes it again afterwards.
"""

import os

from automation.models import Installation
from automation.workers import advance as advancing
from automation.workers import reconcile as reconciling
from automation.workers import rounds, sweeper, target_test
from automation.workers import shard as shards


def advance(number: int) -> None:
    """Look at run `number` and do what is next."""
    if not Installation.frozen():
        advancing.advance(number)


def run_shard(number: int) -> None:
    """Carry shard `number`, if nobody else holds it."""
    if not Installation.frozen():
        shards.run_shard(number, owner=os.environ.get("OPSPORTAL_WORKER_ID", f"pid-{os.getpid()}"))


def probe(number: int) -> None:
    """The watchdog's question; an answer proves that this cluster's queue moves."""
    sweeper.answer_probe(number)


def reconcile(number: int) -> None:
    """Ask the targets of finished run `number` for the ends that are still unknown and due."""
    if not Installation.frozen():
        reconciling.reconcile(number)


def sweep(number: int) -> None:
    """One round of the sweeper, on request."""
    del number
    sweeper.sweep()


def test_target(number: int) -> None:
    """Carry out look `number` at a target, if nobody else does."""
    target_test.carry_out(number)


def look_round(number: int) -> None:
    """One round of looks at targets: what was asked of many, and what is due."""
    del number
    rounds.look_round()
