"""Which targets of an earlier run another run takes once more, and what is known of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from automation.belonging import Candidate
from automation.choose import LeftOut
from automation.forecast import HARMLESS_SKIPS
from automation.models import JobRun, ResultState, RunTarget, StepResult, Target

Which = Literal["all", "failed"]
WHICH: tuple[str, ...] = get_args(Which)


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same targets as in `run`, whatever its query would name today.

    `targets` are ids and names, without those that were deleted since, which are in `gone`. `unknown` are
    names: how a step ended there nobody knows, so that it may now be done twice. `from_step` is the first
    step that runs, empty for all steps; `unready` are names of targets on which a step before it did not
    succeed.
    """

    run: JobRun
    which: Which
    targets: dict[int, str]
    unknown: frozenset[str]
    gone: tuple[str, ...]
    from_step: str = ""
    unready: frozenset[str] = frozenset()

    @classmethod
    def of(cls, run: JobRun, which: Which, *, from_step: str = "") -> Repeat:
        rows = run.targets.order_by("position")
        if which == "failed":
            rows = rows.exclude(good=True)
        found = list(rows.values_list("target", "name"))
        names = {name for _, name in found}
        return cls(
            run=run,
            which=which,
            targets={pk: name for pk, name in found if pk is not None},
            unknown=frozenset(unknown_in(run)) & names,
            gone=tuple(name for pk, name in found if pk is None),
            from_step=from_step or _first_step(run),
        )

    @property
    def is_empty(self) -> bool:
        return not self.targets and not self.gone

    def matches(self, candidate: Candidate) -> bool:
        """Whether the target is one of them."""
        return candidate.target.pk in self.targets

    def reasons(self, candidate: Candidate) -> list[str]:
        """In words, why it is in the plan."""
        name = self.targets[candidate.target.pk]
        if name in self.unknown:
            why = [f"how it ended in run {self.run.pk} is unknown: it may be done twice here"]
        else:
            why = [f"{'not good' if self.which == 'failed' else 'a target'} in run {self.run.pk}"]
        if name in self.unready:
            why.append(f"a step before {self.from_step!r} did not succeed here in run {self.run.pk}")
        return why

    def beginning_after(self, before: int) -> Repeat:
        """The same, where the first `before` steps of the earlier run are left out."""
        rows = RunTarget.objects.filter(run=self.run, name__in=self.targets.values())
        lacking = StepResult.objects.filter(run_target__in=rows, step_index__lt=before)
        lacking = lacking.exclude(state=ResultState.SUCCEEDED).exclude(code__in=HARMLESS_SKIPS)
        return replace(self, unready=frozenset(lacking.values_list("run_target__name", flat=True)))

    def missing(self, usable: Iterable[Target]) -> tuple[LeftOut, ...]:
        """Those that cannot be taken, for they are no more, or not for the person who asks."""
        there = {target.pk for target in usable}
        lost = [*self.gone, *(name for pk, name in self.targets.items() if pk not in there)]
        return tuple(LeftOut(name, "target.gone", f"deleted since run {self.run.pk}") for name in lost)

    def as_dict(self) -> dict[str, Any]:
        """What the plan and the API say of it."""
        told = {"run": self.run.pk, "targets": self.which, "unknown": sorted(self.unknown)}
        return told | {"from_step": self.from_step or None, "unready": sorted(self.unready)}


def _first_step(run: JobRun) -> str:
    """Where the run itself began, if it was one that left steps out."""
    if run.repeats_id is None:
        return ""
    return (json.loads(run.header).get("repeats") or {}).get("from_step") or ""


def unknown_in(run: JobRun) -> list[str]:
    """Names of the targets with a step of which nobody knows how it ended."""
    rows = RunTarget.objects.filter(run=run, results__state=ResultState.UNKNOWN)
    return sorted(set(rows.values_list("name", flat=True)))
