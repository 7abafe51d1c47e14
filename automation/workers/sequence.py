"""What comes next for one target, read off its rows alone.

Nothing here remembers: the answer after a crash is the answer before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from automation.definitions.schema import Bodies, Step, Workflow
from automation.forecast import HARMLESS_SKIPS, NOT_RUN
from automation.models import Attempt, AttemptState, ResultState, StepResult

BodyName = Literal["run", "check", "verify", "undo"]
UNDOABLE = (ResultState.FAILED, ResultState.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Begin:
    """Start this body of this step; a verify after an undo looks whether all is as before."""

    step_index: int
    body: BodyName
    after_undo: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing is to be sent for these steps."""

    step_indexes: tuple[int, ...]
    code: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The target is done."""

    good: bool


Action = Begin | Skip | Finish


class Sequence:
    """The steps of a frozen workflow, as they apply to targets of one platform."""

    def __init__(self, workflow: Workflow, *, platform: str, dry_run: bool, undo: bool) -> None:
        self.workflow = workflow
        self.platform = platform
        self.dry_run = dry_run
        self._undo = undo

    def step(self, index: int) -> Step:
        return self.workflow.steps[index]

    def script(self, index: int, body: str) -> str | None:
        bodies: Bodies | None = getattr(self.step(index), body)
        return bodies.for_platform(self.platform) if bodies is not None else None

    def changes(self, index: int, body: BodyName) -> bool:
        """Whether starting this body may change the target; verify and check only look."""
        return body in ("run", "undo") and self.step(index).effect != "read"

    def becomes(self, index: int) -> bool:
        """Whether the step's bodies run as root. Windows knows no sudo: a login has the rights it has."""
        return self.step(index).become and self.platform != "windows"

    def next(self, results: list[StepResult], ended: dict[tuple[int, str], Attempt]) -> Action:
        """`results` in order of steps; `ended` the last finished attempt of each step and part."""
        for index, result in enumerate(results):
            if result.state == ResultState.SUCCEEDED or result.code in HARMLESS_SKIPS:
                continue
            if result.state == ResultState.PENDING:
                return self._first_body(index)
            if result.state == ResultState.RUNNING:
                run = ended.get((index, "run"))
                return Begin(index, "verify") if run is not None else self._first_body(index)
            if result.state == ResultState.SKIPPED:
                return Finish(good=False)  # stopped or cancelled before it
            return self._aftermath(index, results, ended)
        return Finish(good=True)

    def _first_body(self, index: int) -> Action:
        if not self.dry_run or self.step(index).effect == "read":
            return Begin(index, "run")
        return Begin(index, "check") if self.script(index, "check") is not None else Skip((index,), NOT_RUN)

    def _aftermath(
        self, bad: int, results: list[StepResult], ended: dict[tuple[int, str], Attempt]
    ) -> Action:
        """A step went wrong: the rest is skipped, and what was done is undone, last first."""
        rest = tuple(i for i, r in enumerate(results) if r.state == ResultState.PENDING)
        if rest:
            return Skip(rest, "step.earlier")
        if self._undo and results[bad].state in UNDOABLE:
            for index in range(bad, -1, -1):
                touched = index == bad or results[index].state == ResultState.SUCCEEDED
                if touched and self._needs_undo(index, results[index], ended):
                    undone = (index, "undo") in ended
                    return Begin(index, "verify", after_undo=True) if undone else Begin(index, "undo")
        return Finish(good=False)

    def _needs_undo(self, index: int, result: StepResult, ended: dict[tuple[int, str], Attempt]) -> bool:
        run = ended.get((index, "run"))
        return (
            result.undone is None
            and self.changes(index, "run")
            and self.script(index, "undo") is not None
            and run is not None
            and run.state == AttemptState.ENDED
        )
