"""What is submitted during a round: small workflows whose every effect is counted on the target."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

EFFECTS = "/var/lib/oracle/effects"
"""On each target: one line per begin and end of a changing body, appended by the body itself."""
STEP_TIMEOUT = 30
WHOM = ("group:web", "group:web", "group:web", "name:web1", "group:web -name:web2")


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step: `lines` numbered lines over `seconds`, then exit status `status`."""

    name: str
    changes: bool
    become: bool
    lines: int
    seconds: float
    status: int
    verified: bool
    undoable: bool

    def definition(self) -> dict[str, Any]:
        step: dict[str, Any] = {
            "name": self.name,
            "effect": "change" if self.changes else "read",
            "become": self.become,
            "timeout": STEP_TIMEOUT,
            "run": {"bash": self._script("run", self.status)},
        }
        if self.verified:
            step["verify"] = {"bash": "echo 1\necho 2\n"}
        if self.undoable and self.changes:
            step["undo"] = {"bash": self._script("undo", 0)}
        return step

    def _script(self, body: str, status: int) -> str:
        note = f'echo "$label {self.name} $me $OPSPORTAL_ATTEMPT {body} %s" >> {EFFECTS}\n'
        begin, end = (note % "begin", note % "end") if self.changes else ("", "")
        pause = self.seconds / self.lines
        say = f"for n in $(seq {self.lines}); do echo $n; sleep {pause:.3f}; done\n"
        return f"{begin}{say}{end}exit {status}\n"


@dataclass(slots=True)
class Submission:
    """One run as it is asked for, and the number it was accepted under."""

    label: str
    targets: str
    rollout: dict[str, Any]
    steps: list[StepPlan]
    run: int | None = None
    tries: int = 0
    cancel_at: float | None = None
    cancelled: bool = False
    plans: dict[str, StepPlan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plans = {step.name: step for step in self.steps}

    def body(self) -> dict[str, Any]:
        """The body of `POST /api/v1/runs/`."""
        return {
            "definition": {
                "name": "chaos",
                "parameters": {"label": {"type": "string"}},
                "steps": [step.definition() for step in self.steps],
            },
            "targets": self.targets,
            "parameters": {"label": self.label},
            "rollout": self.rollout,
        }


def invent(random: Random, number: int) -> Submission:
    """The next submission of a round; the same seed gives the same ones."""
    steps = [_step(random, index) for index in range(random.randint(2, 4))]
    rollout = {
        "canary": random.choice((0, 0, 1)),
        "batches": random.choice((["100%"], ["100%"], ["34%", "100%"])),
        "max_parallel": random.choice((1, 3, 3)),
        "max_failures": random.choice((0, "100%", "100%", "100%")),
        "on_failure": random.choice(("stop", "undo")),
    }
    submission = Submission(f"r{number}", random.choice(WHOM), rollout, steps)
    if random.random() < 0.08:
        submission.cancel_at = random.uniform(0.5, 8)
    return submission


def _step(random: Random, index: int) -> StepPlan:
    changes = random.random() < 0.75
    return StepPlan(
        name=f"s{index}",
        changes=changes,
        become=random.random() < 0.4,
        lines=random.randint(3, 60),
        seconds=random.uniform(0.2, random.choice((0.8, 4))),
        status=3 if random.random() < 0.06 else 0,
        verified=changes and random.random() < 0.3,
        undoable=random.random() < 0.5,
    )
