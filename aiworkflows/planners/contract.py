"""What a planner is: a sentence, the inventory its author may see, and answers go in; a plan comes out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

PlanStatus = Literal["ready", "needs_answer", "refused"]


class InventoryView(Protocol):
    """The names that exist, as far as the asking person may see them."""

    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def targets(self) -> Sequence[str]: ...
    @property
    def environments(self) -> Sequence[str]: ...
    @property
    def platforms(self) -> Sequence[str]: ...
    @property
    def windows(self) -> Collection[str]:
        """Terms of a target query (`group:web`) that name Windows targets alone."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know before a plan is ready; `choices` are answers that would be taken as they are."""

    slot: str
    text: str
    choices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {"slot": self.slot, "text": self.text, "choices": list(self.choices)}


@dataclass(frozen=True, slots=True)
class Alternative:
    """A runbook that may have been meant."""

    runbook: str
    title: str
    summary: str
    score: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "runbook": self.runbook,
            "title": self.title,
            "summary": self.summary,
            "score": round(self.score, 3),
        }


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said after the sentence; it outranks what the sentence seems to say."""

    runbook: str | None = None
    targets: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learned:
    """A runbook that people chose, `times` times, for a request of these words."""

    words: str
    runbook: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a planner made of a sentence. Ready: a definition, a target query and parameters to submit."""

    status: PlanStatus
    runbook: str | None = None
    definition: Mapping[str, Any] | None = None
    targets: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 0.0
    alternatives: tuple[Alternative, ...] = ()
    questions: tuple[Question, ...] = ()
    reason: str = ""
    # The time the sentence speaks of: its words, the moment (ISO 8601) and the zone.
    time: Mapping[str, Any] | None = None
    # What may be learned of the sentence: its words without targets and without names of software.
    words: str = ""


class Planner(Protocol):
    """Makes plans; never runs anything, never sees more than `inventory`."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str | None: ...

    def plan(
        self,
        request: str,
        inventory: InventoryView,
        answers: Answers = ...,
        *,
        learned: Sequence[Learned] = ...,
    ) -> Plan: ...
