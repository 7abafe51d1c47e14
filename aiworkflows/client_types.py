"""What the automation service answers, as frozen values. Unknown keys are kept in `raw`, never an error."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Mapping[str, Any]

FINAL_RUN_STATES: Final = frozenset(
    {"succeeded", "partial", "failed", "cancelled", "errored", "rejected", "expired"}
)
# `unknown` is missing on purpose: it may still be reconciled.
FINAL_STEP_STATES: Final = frozenset(
    {"succeeded", "failed", "timed_out", "unreachable", "cancelled", "blocked", "skipped"}
)


def names_of(values: Iterable[Any] | None) -> tuple[str, ...]:
    """Read names from a list of names or of objects with a `name`."""
    return tuple(str(value["name"]) if isinstance(value, Mapping) else str(value) for value in values or ())


@dataclass(frozen=True, slots=True)
class Health:
    """Is the service alive (answers at all) and ready (database, migrations, workers)?"""

    alive: bool
    ready: bool
    checks: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A machine of the inventory, as far as this principal may see it."""

    id: int
    name: str
    address: str = ""
    platform: str = ""
    environment: str = ""
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "Target":
        """Read one row of `GET /targets/`."""
        return cls(
            id=int(data["id"]),
            name=str(data["name"]),
            address=str(data.get("address") or ""),
            platform=str(data.get("platform") or ""),
            environment=str(data.get("environment") or ""),
            groups=names_of(data.get("groups")),
            tags=names_of(data.get("tags")),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of targets."""

    id: int
    name: str
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "Group":
        """Read one row of `GET /groups/`."""
        return cls(id=int(data["id"]), name=str(data["name"]), raw=data)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that can be submitted by name."""

    name: str
    summary: str = ""
    version: int | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "Workflow":
        """Read one row of `GET /workflows/`."""
        version = data.get("version")
        return cls(
            name=str(data["name"]),
            summary=str(data.get("summary") or ""),
            version=version if isinstance(version, int) else None,
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What the planner has to know before a proposal is ready."""

    slot: str
    text: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was made of a sentence."""

    id: int
    status: str
    request: str
    definition: Json | None = None
    targets: str = ""
    parameters: Json = field(default_factory=dict)
    confidence: float = 0.0
    alternatives: tuple[Json, ...] = ()
    questions: tuple[Question, ...] = ()
    reason: str = ""
    run: int | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "Proposal":
        """Read the body of `GET /proposals/{id}/`."""
        return cls(
            id=int(data["id"]),
            status=str(data["status"]),
            request=str(data.get("request") or ""),
            definition=data.get("definition"),
            targets=str(data.get("targets") or ""),
            parameters=dict(data.get("parameters") or {}),
            confidence=float(data.get("confidence") or 0.0),
            alternatives=tuple(data.get("alternatives") or ()),
            questions=tuple(
                Question(str(item["slot"]), str(item["text"]), tuple(map(str, item.get("choices") or ())))
                for item in data.get("questions") or ()
            ),
            reason=str(data.get("reason") or ""),
            run=data.get("run"),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Me:
    """Who the automation service says we are: the user's name, the token's kind, and what is allowed."""

    name: str
    kind: str
    scopes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Json) -> "Me":
        """Read the body of `GET /me/`."""
        return cls(name=str(data["name"]), kind=str(data["kind"]), scopes=tuple(map(str, data["scopes"])))


@dataclass(frozen=True, slots=True)
class Run:
    """One submission and how it stands."""

    id: int
    status: str
    plan_hash: str = ""
    counts: Json = field(default_factory=dict)
    risk: Json = field(default_factory=dict)
    blast_radius: Json = field(default_factory=dict)
    approvals_required: int = 0
    last_seq: int = 0
    repeats: Json | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @property
    def final(self) -> bool:
        """Nothing more will happen by itself."""
        return self.status in FINAL_RUN_STATES

    @classmethod
    def from_json(cls, data: Json) -> "Run":
        """Read the body of `POST /runs/` or `GET /runs/{id}/`."""
        return cls(
            id=int(data["id"]),
            status=str(data["status"]),
            plan_hash=str(data.get("plan_hash") or ""),
            counts=dict(data.get("counts") or {}),
            risk=dict(data.get("risk") or {}),
            blast_radius=dict(data.get("blast_radius") or {}),
            approvals_required=int(data.get("approvals_required") or 0),
            last_seq=int(data.get("last_seq") or 0),
            repeats=data.get("repeats"),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """One target of a frozen plan: where, as whom and in which batch (from 0) it is worked on, and why."""

    target: str
    address: str
    port: int
    login: str = ""
    batch: int = 0
    why: tuple[str, ...] = ()
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "PlannedTarget":
        """Read one row of `GET /runs/{id}/plan/`."""
        leaf = data["leaf"]
        return cls(
            target=str(data["target"]),
            address=str(leaf["address"]),
            port=int(leaf["port"]),
            login=str(leaf.get("login") or ""),
            batch=int(data.get("batch") or 0),
            why=tuple(map(str, leaf.get("why") or ())),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class StepResult:
    """What happened to one target in one step. `undone` False: its undo was tried and failed."""

    target: str
    step: str
    state: str
    code: str = ""
    message: str = ""
    exit_code: int | None = None
    verified: bool | None = None
    undone: bool | None = None
    outputs: Json = field(default_factory=dict)
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "StepResult":
        """Read one row of `GET /runs/{id}/results/`."""
        return cls(
            target=str(data["target"]),
            step=str(data["step"]),
            state=str(data["state"]),
            code=str(data.get("code") or ""),
            message=str(data.get("message") or ""),
            exit_code=data.get("exit_code"),
            verified=data.get("verified"),
            undone=data.get("undone"),
            outputs=dict(data.get("outputs") or {}),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """What a dry run found on a target: the names of its steps, by what they would do there."""

    target: str
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "TargetForecast":
        """Read one row of `GET /runs/{id}/forecast/`."""
        steps = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
        return cls(target=str(data["target"]), steps=steps, raw=data)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the service: uploaded for steps, or downloaded by the step of a run. `size` in bytes."""

    id: int
    name: str
    size: int
    sha256: str
    run: int | None = None
    target: str = ""
    step: str = ""
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "StoredFile":
        """Read one row of `GET /files/`."""
        return cls(
            id=int(data["id"]),
            name=str(data["name"]),
            size=int(data["size"]),
            sha256=str(data["sha256"]),
            run=data.get("run"),
            target=str(data.get("target") or ""),
            step=str(data.get("step") or ""),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """A numbered entry in a run's story; keys that do not apply are empty."""

    seq: int
    kind: str
    at: str = ""
    target: str = ""
    step: str = ""
    body: str = ""
    state: str = ""
    code: str = ""
    message: str = ""
    stream: str = ""
    offset: int | None = None
    length: int | None = None
    raw: Json = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> "Event":
        """Read one entry of `GET /runs/{id}/events/`."""
        texts = ("at", "target", "step", "body", "state", "code", "message", "stream")
        return cls(
            seq=int(data["seq"]),
            kind=str(data["kind"]),
            offset=data.get("offset"),
            length=data.get("length"),
            raw=data,
            **{key: str(data.get(key) or "") for key in texts},
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a number; `final` when the run is over."""

    events: tuple[Event, ...]
    last: int
    final: bool

    @classmethod
    def from_json(cls, data: Json) -> "EventPage":
        """Read the body of `GET /runs/{id}/events/`."""
        events = tuple(Event.from_json(item) for item in data["events"])
        return cls(events=events, last=int(data.get("last") or 0), final=bool(data.get("final")))
