"""The form that starts a run: made from the workflow's parameters, checked by the language itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.http import QueryDict

from automation.choose import LeftOut, choose
from automation.definitions.errors import DefinitionError, ParameterError, QueryError
from automation.definitions.parameter_types import ADDRESS_SUFFIX, Parameter
from automation.definitions.parameters import as_text, check_parameters
from automation.definitions.query import parse
from automation.definitions.schema import Workflow, missing_bodies
from automation.login_choice import Choices
from automation.models import JobRun, Target, WorkflowVersion
from automation.plan import PlanError
from automation.submit import Submission, submit

PREFIX = "parameter-"
SHOWN_TARGETS = 100
MAX_REASON = 2000


@dataclass(slots=True)
class Field:
    """One parameter as the form shows it: what was typed, and what is wrong with it."""

    name: str
    parameter: Parameter
    value: str = field(repr=False)
    error: str = ""

    @property
    def key(self) -> str:
        return PREFIX + self.name

    @property
    def label(self) -> str:
        return self.parameter.label or self.name.replace("_", " ").capitalize()

    @property
    def rules(self) -> list[str]:
        """The limits in words."""
        declared = self.parameter
        unit = {"string": "characters", "secret": "characters", "list": "lines"}.get(declared.type, "")
        limits = [("at least", declared.min), ("at most", declared.max)]
        texts = [f"{word} {limit} {unit}".strip() for word, limit in limits if limit is not None]
        if declared.type == "list":
            texts.insert(0, "one a line")
        if declared.type == "target":
            texts.insert(0, f"the name of a target; ${self.name}{ADDRESS_SUFFIX} is its address")
        if declared.is_secret:
            texts.insert(0, "kept encrypted until the run is over; masked in output from six characters on")
        return texts + ([f"must match {declared.pattern}"] if declared.pattern else [])

    def given(self) -> object:
        """What was typed, in the shape that the parameter's type reads; None for nothing."""
        if self.parameter.type == "list":
            lines = [line.strip() for line in self.value.splitlines()]
            return [line for line in lines if line] or None
        if self.parameter.is_secret:
            return self.value or None
        if self.parameter.type in ("integer", "boolean", "enum", "target"):
            return self.value.strip() or None
        return self.value.replace("\r\n", "\n")


@dataclass(frozen=True, slots=True)
class Preview:
    """The targets a query names now, and what would keep work from starting on them."""

    names: list[str] = field(default_factory=list)
    total: int = 0
    error: str = ""
    caret: str = ""
    warnings: list[str] = field(default_factory=list)
    left_out: tuple[LeftOut, ...] = ()


class RunForm:
    """`data` is what was sent, None for the defaults. Errors stand at their fields, the rest in `errors`."""

    def __init__(self, version: WorkflowVersion, workflow: Workflow, data: QueryDict | None = None) -> None:
        self.version = version
        self.workflow = workflow
        sent: Mapping[str, Any] = data if data is not None else self._initial()
        self.targets = str(sent.get("targets", "")).strip()
        self.reason = str(sent.get("reason", ""))
        self.dry_run = bool(sent.get("dry_run"))
        self.include_maintenance = bool(sent.get("include_maintenance"))
        self.hold = bool(sent.get("hold"))
        self.fields = [
            Field(name, parameter, str(sent.get(PREFIX + name, "")))
            for name, parameter in workflow.parameters.items()
        ]
        self.errors: list[str] = []
        self.targets_error = ""
        self.targets_caret = ""

    def _initial(self) -> dict[str, Any]:
        values = {PREFIX + name: as_text(each.default) for name, each in self.workflow.parameters.items()}
        looks_first = self.workflow.tier != "read"
        return values | {"targets": self.workflow.targets or "", "hold": looks_first}

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or self.targets_error or any(each.error for each in self.fields))

    def submit(self, user: User) -> JobRun | None:
        """The run; None when something is wrong, which then stands at its field."""
        try:
            query = parse(self.targets)
        except QueryError as error:
            self.targets_error, self.targets_caret = error.sentence, error.caret
        values = {each.name: each.given() for each in self.fields}
        given = {name: value for name, value in values.items() if value is not None}
        self._check(given)
        if len(self.reason) > MAX_REASON:
            self.errors.append(f"The reason has at most {MAX_REASON} characters.")
        if self.has_errors:
            return None
        wanted = Submission(
            workflow=self.workflow,
            version=self.version,
            query=query,
            submitter=user,
            parameters=given,
            dry_run=self.dry_run,
            include_maintenance=self.include_maintenance,
            hold=self.hold,
            reason=self.reason.strip(),
            source={"kind": "person"},
        )
        try:
            return submit(wanted)
        except PlanError as error:
            self._place(error)
        except ParameterError as error:
            self._place_parameters(error)
        except DefinitionError as error:
            self.errors.append(str(error))
        return None

    def preview(self, user: User) -> Preview:
        return preview_of(self.workflow, self.targets, user, include_maintenance=self.include_maintenance)

    def _check(self, given: dict[str, object]) -> None:
        try:
            check_parameters(self.workflow, given)
        except ParameterError as error:
            self._place_parameters(error)

    def _place_parameters(self, error: ParameterError) -> None:
        wrong = {found["path"].removeprefix("parameters."): found["message"] for found in error.errors}
        for each in self.fields:
            each.error = sentence(wrong.pop(each.name, ""))
        self.errors += [f"{name}: {message}" for name, message in wrong.items()]

    def _place(self, error: PlanError) -> None:
        about_targets = {found.get("path") for found in error.errors} == {"targets"}
        if about_targets or error.code == "targets.left_out":
            self.targets_error = str(error)
        else:
            self.errors.append(str(error))


def preview_of(workflow: Workflow, text: str, user: User, *, include_maintenance: bool = False) -> Preview:
    """The targets that the query names for this person, as a run submitted now would take them."""
    if not text.strip():
        return Preview(error="Write a target query; all means every target.")
    try:
        query = parse(text.strip())
    except QueryError as error:
        return Preview(error=error.sentence, caret=error.caret)
    visible = Target.objects.visible_to(user).with_plan_parts()
    choice = choose(query, visible, include_maintenance=include_maintenance)
    if not choice.chosen:
        return Preview(error="No enabled target matches.", left_out=choice.left_out)
    names = [target.name for target in choice.targets]
    return Preview(
        names[:SHOWN_TARGETS],
        len(names),
        warnings=_warnings(workflow, choice.targets),
        left_out=choice.left_out,
    )


def _warnings(workflow: Workflow, chosen: list[Target]) -> list[str]:
    lacking = {
        missing.platform for missing in missing_bodies(workflow, {target.platform for target in chosen})
    }
    choices = Choices()
    logins = {target.pk: choices.of(target).credential for target in chosen}
    late = {pk for pk, login in logins.items() if login is not None and login.expired}
    found: tuple[tuple[str, Callable[[Target], bool]], ...] = (
        (
            "without a trusted host key, so work there ends blocked",
            lambda each: not (each.speaks_winrm or each.trusted_keys()),
        ),
        ("without a credential, so work there ends blocked", lambda each: logins[each.pk] is None),
        ("with an expired credential, so no run can be planned there", lambda each: each.pk in late),
        ("on a platform this workflow has no script for", lambda each: each.platform in lacking),
    )
    texts = []
    for why, concerns in found:
        if names := [target.name for target in chosen if concerns(target)]:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            texts.append(f"{', '.join(names[:5])}{more}: {why}.")
    return texts


def sentence(message: str) -> str:
    """What the language says of a value, as a sentence of its own; empty for nothing."""
    if message.startswith("there "):
        return f"{message[:1].upper()}{message[1:]}".rstrip("?.") + ("?" if message.endswith("?") else ".")
    return f"This {message}." if message else ""
