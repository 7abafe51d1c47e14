import random

import pytest

from automation.definitions.durations import Percent, parse_duration, parse_share
from automation.definitions.rollout import budget, in_order, plan_rollout, worst_case
from automation.definitions.schema import Effect, Rollout, read_rollout

BATCHES: list[tuple[int, dict[str, object], tuple[int, ...]]] = [
    (10, {"canary": 1, "batches": ["25%", "100%"]}, (1, 3, 6)),
    (10, {"canary": 0, "batches": ["25%"]}, (3, 3, 3, 1)),
    (10, {"canary": 2, "batches": [3]}, (2, 3, 3, 2)),
    (10, {"canary": 1, "batches": [1, 2, 4]}, (1, 1, 2, 4, 2)),
    (10, {"canary": 10}, (10,)),
    (10, {"canary": 99, "batches": ["10%"]}, (10,)),
    (3, {"canary": 0, "batches": ["1%"]}, (1, 1, 1)),
    (200, {"canary": 1, "batches": ["10%", "100%"]}, (1, 20, 179)),
    (7, {}, (1, 6)),
    (1, {}, (1,)),
    (0, {"canary": 1}, ()),
]


@pytest.mark.parametrize(("total", "rollout", "sizes"), BATCHES)
def test_batches_follow_the_canary_and_the_last_size_repeats(
    total: int, rollout: dict[str, object], sizes: tuple[int, ...]
) -> None:
    assert plan_rollout(total, read_rollout(rollout), tier="change").batches == sizes


BUDGETS = [
    (10, "10%", 1),
    (19, "10%", 1),
    (20, "10%", 2),
    (5, "10%", 1),
    (10, 0, 0),
    (10, 3, 3),
    (10, "100%", 10),
]


@pytest.mark.parametrize(("total", "failures", "allowed"), BUDGETS)
def test_a_budget_in_percent_is_rounded_down_but_at_least_one(
    total: int, failures: object, allowed: int
) -> None:
    assert budget(total, read_rollout({"max_failures": failures})) == allowed


def test_the_worst_case_is_the_budget_and_all_in_flight() -> None:
    assert worst_case(200, max_failures=20, max_parallel=50) == 70
    assert worst_case(30, max_failures=20, max_parallel=50) == 30


DEFAULTS: list[tuple[Effect, int, int, tuple[int, ...]]] = [
    ("read", 40, 0, (40,)),
    ("change", 40, 1, (1, 39)),
    ("destructive", 2, 1, (1, 1)),
    ("change", 1, 0, (1,)),
]


@pytest.mark.parametrize(("tier", "total", "canary", "batches"), DEFAULTS)
@pytest.mark.parametrize("rollout", [None, Rollout(max_parallel=5)])
def test_what_changes_anything_goes_to_one_target_first_unless_told_otherwise(
    tier: Effect, total: int, canary: int, batches: tuple[int, ...], rollout: Rollout | None
) -> None:
    plan = plan_rollout(total, rollout, tier=tier)

    assert (plan.canary, plan.batches, plan.max_failures, plan.on_failure) == (canary, batches, 0, "stop")


def test_a_plan_carries_what_the_rollout_says() -> None:
    plan = plan_rollout(
        40,
        read_rollout({"max_parallel": 4, "max_failures": 2, "bake": "1m", "on_failure": "undo"}),
        tier="change",
    )

    assert (plan.max_parallel, plan.max_failures, plan.bake, plan.on_failure, plan.worst_case) == (
        4,
        2,
        60,
        "undo",
        6,
    )


def test_every_target_has_exactly_one_place_in_any_rollout() -> None:
    source = random.Random(3)
    for _ in range(2_000):
        total = source.randint(0, 500)
        entries = [
            source.choice([source.randint(1, 60), f"{source.randint(1, 100)}%"])
            for _ in range(source.randint(1, 5))
        ]
        plan = plan_rollout(
            total, read_rollout({"canary": source.randint(0, 5), "batches": entries}), tier="change"
        )
        assert sum(plan.batches) == total
        assert all(size > 0 for size in plan.batches)


def test_targets_go_in_order_of_name_whatever_their_case() -> None:
    assert in_order(["web-2", "Web-1", "web-10", "DB", "web-1"]) == [
        "DB",
        "Web-1",
        "web-1",
        "web-10",
        "web-2",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("15m", 900), ("2h", 7200), ("1d", 86400), ("90", 90), (5, 5)]
)
def test_a_duration_is_whole_seconds(text: object, seconds: int) -> None:
    assert parse_duration(text) == seconds


def test_percentages_and_numbers_stay_apart() -> None:
    assert parse_share("25%") == Percent(25)
    assert parse_share(25) == 25
    with pytest.raises(ValueError, match="whole number or a percentage"):
        parse_share("25")
