"""What people type on the page of a proposal, as answers for the planner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from aiworkflows.models import Proposal

OTHER: Final = "other."
VALUE: Final = "value."
NOT_PARAMETERS: Final = ("targets", "runbook")


class BadAnswer(ValueError):
    """What was typed cannot be an answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a person may set: a parameter or the targets."""

    name: str
    label: str
    kind: str
    value: str
    help: str
    required: bool
    choices: tuple[str, ...] = ()

    @property
    def element(self) -> str:
        return f"field-{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its choices as (value, title, explanation), and what was typed so far."""

    slot: str
    text: str
    choices: tuple[tuple[str, str, str], ...]
    free: bool
    chosen: str
    typed: str

    @property
    def element(self) -> str:
        return f"answer-{self.slot}"


def fields_of(proposal: Proposal, typed: QueryDict | None = None) -> list[Field]:
    """The targets and the parameters of the proposed workflow, as they are or as they were typed."""
    where = {"help": "A query, like: group:web env:prod -name:web-3"}
    fields = [_field("targets", "Targets", where, proposal.targets)]
    for name, spec in _parameters(proposal).items():
        fields.append(_field(name, spec.get("label") or name, spec, proposal.parameters.get(name)))
    if typed is None:
        return fields
    return [_retyped(field, typed) for field in fields]


def questions_of(proposal: Proposal, typed: QueryDict | None = None) -> list[Asked]:
    """The planner's questions; where it names runbooks, with their titles."""
    told = {each["runbook"]: (each["title"], each["summary"]) for each in proposal.alternatives}
    given = typed if typed is not None else QueryDict()
    return [
        Asked(
            slot=question["slot"],
            text=question["text"],
            choices=tuple((choice, *told.get(choice, (choice, ""))) for choice in question["choices"]),
            free=question["slot"] not in ("runbook", "when"),
            chosen=given.get(f"answer.{question['slot']}", ""),
            typed=given.get(OTHER + question["slot"], ""),
        )
        for question in proposal.questions
    ]


def answers_of(proposal: Proposal, typed: QueryDict) -> dict[str, Any]:
    """What was answered or changed, in the form of a PATCH. Raises BadAnswer."""
    if runbook := typed.get("runbook", ""):
        return {"runbook": runbook}
    given = _answered(proposal, typed) if "answering" in typed else _changed(proposal, typed)
    answers: dict[str, Any] = {key: given.pop(key) for key in NOT_PARAMETERS if key in given}
    return answers | ({"parameters": given} if given else {})


def _answered(proposal: Proposal, typed: QueryDict) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for question in questions_of(proposal, typed):
        text = question.typed.strip() or question.chosen
        if not text:
            raise BadAnswer(f"Answer every question: {question.text}")
        spec = _parameters(proposal).get(question.slot, {})
        given[question.slot] = _value(spec.get("label") or question.slot, spec, text)
    return given


def _changed(proposal: Proposal, typed: QueryDict) -> dict[str, Any]:
    """Only what differs, so that values derived from others are derived anew."""
    specs = _parameters(proposal)
    given: dict[str, Any] = {}
    for field in fields_of(proposal):
        name = VALUE + field.name
        if name not in typed and field.kind != "boolean":
            continue
        text = typed.get(name, "").strip()
        if text.splitlines() == field.value.splitlines():
            continue
        if not text and field.required and field.kind != "boolean":
            raise BadAnswer(f"{field.label} is needed.")
        given[field.name] = _value(field.label, specs.get(field.name, {}), text)
    return given


def _value(label: str, spec: Mapping[str, Any], text: str) -> Any:
    kind = spec.get("type", "string")
    if kind == "boolean":
        return text.lower() in ("true", "yes", "1")
    if kind == "list":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if kind == "integer" and text:
        try:
            return int(text)
        except ValueError:
            raise BadAnswer(f"{label} must be a whole number.") from None
    return text


def _parameters(proposal: Proposal) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = (proposal.definition or {}).get("parameters", {})
    return found


def _field(name: str, label: str, spec: Mapping[str, Any], value: Any) -> Field:
    shown = spec.get("default") if value is None else value
    return Field(
        name=name,
        label=label,
        kind=spec.get("type", "string"),
        value=_text(shown),
        help=spec.get("help", ""),
        required=bool(spec.get("required", True)) and spec.get("default") is None,
        choices=tuple(spec.get("choices", ())),
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else ""
    return "" if value is None else str(value)


def _retyped(field: Field, typed: QueryDict) -> Field:
    value = typed.get(VALUE + field.name, "" if field.kind == "boolean" else field.value)
    return Field(field.name, field.label, field.kind, value, field.help, field.required, field.choices)
