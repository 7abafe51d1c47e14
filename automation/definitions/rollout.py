"""The arithmetic of a rollout: which targets when, how many may fail, and the worst that can happen.

Targets go in order of name. The canary is the first N. The batch entries are sizes, applied in order to what
follows the canary; the last entry repeats until every target has its place. Percentages are always of all
targets: of a batch rounded up, of the failure budget rounded down, both at least 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from automation.definitions.durations import Percent
from automation.definitions.schema import Effect, Rollout


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """A rollout for a known number of targets.

    `batches` are sizes and add up to that number; the first one is the canary when `canary` is not 0. A
    changing start needs `bad <= max_failures` and `in_flight < max_parallel`. `bake` is in seconds.
    `worst_case` is how many targets can be hit at most when everything fails.
    """

    batches: tuple[int, ...]
    canary: int
    max_failures: int
    max_parallel: int
    bake: int
    on_failure: Literal["undo", "stop", "pause"]
    worst_case: int


def in_order(names: Iterable[str]) -> list[str]:
    """Names in the order targets go: without regard to case, then by code point; `web-10` before `web-2`."""
    return sorted(names, key=lambda name: (name.casefold(), name))


def plan_rollout(total: int, rollout: Rollout | None, *, tier: Effect) -> RolloutPlan:
    """The rollout of `total` targets.

    Without a rollout, or without a canary in it: what only reads goes to all at once, what changes anything
    goes to one target first.
    """
    if total < 0:
        raise ValueError("the number of targets cannot be negative")
    chosen = rollout if rollout is not None else Rollout()
    canary = _canary(total, chosen, tier)
    failures = budget(total, chosen)
    return RolloutPlan(
        batches=plan_batches(total, chosen, tier=tier),
        canary=canary,
        max_failures=failures,
        max_parallel=chosen.max_parallel,
        bake=chosen.bake,
        on_failure=chosen.on_failure,
        worst_case=worst_case(total, max_failures=failures, max_parallel=chosen.max_parallel),
    )


def plan_batches(total: int, rollout: Rollout, *, tier: Effect) -> tuple[int, ...]:
    """The sizes of the batches, the canary first."""
    canary = _canary(total, rollout, tier)
    batches = [canary] if canary else []
    rest = total - canary
    sizes = [_batch_size(total, entry) for entry in rollout.batches]
    while rest > 0:
        size = min(rest, sizes.pop(0) if len(sizes) > 1 else sizes[0])
        batches.append(size)
        rest -= size
    return tuple(batches)


def budget(total: int, rollout: Rollout) -> int:
    """How many targets may end badly before nothing more is started."""
    failures = rollout.max_failures
    return failures.rounded_down(total) if isinstance(failures, Percent) else failures


def worst_case(total: int, *, max_failures: int, max_parallel: int) -> int:
    """How many targets can be hit before the run stops: the budget and all that are then in flight."""
    return min(total, max_failures + max_parallel)


def _canary(total: int, rollout: Rollout, tier: Effect) -> int:
    if rollout.canary is not None:
        return min(rollout.canary, total)
    return 1 if tier != "read" and total > 1 else 0


def _batch_size(total: int, entry: int | Percent) -> int:
    return entry.rounded_up(total) if isinstance(entry, Percent) else entry
