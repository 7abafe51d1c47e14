"""The workflow language, version 1: what a workflow, its steps and its rollout are made of."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from automation.definitions.checks import check_references
from automation.definitions.conditions import MAX_CONDITION, Condition
from automation.definitions.durations import Seconds, Share, Size
from automation.definitions.errors import ConditionError, DefinitionError, Finding, QueryError
from automation.definitions.explaining import explain
from automation.definitions.loading import Document, is_small, read_document
from automation.definitions.names import NAME_PATTERN, check_name
from automation.definitions.parameter_types import Parameter, Text
from automation.definitions.query import MAX_QUERY, parse

Effect = Literal["read", "change", "destructive"]
Shell = Literal["bash", "powershell"]
BodyKind = Literal["check", "run", "verify", "undo"]
BODY_KINDS: tuple[BodyKind, ...] = ("check", "run", "verify", "undo")
EFFECTS: tuple[Effect, ...] = ("read", "change", "destructive")
SHELL_OF: dict[str, Shell] = {"linux": "bash", "windows": "powershell"}

MAX_SCRIPT_BYTES = 1024 * 1024
MAX_STEPS = 100
MAX_PARAMETERS = 100
MAX_TIMEOUT = 7 * 86400
MAX_BAKE = 86400
SLUG_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"


def _check_script(script: str) -> str:
    if not script.strip():
        raise ValueError("the script is empty")
    if len(script.encode()) > MAX_SCRIPT_BYTES:
        raise ValueError(f"a script has at most {MAX_SCRIPT_BYTES // 1024 // 1024} MiB")
    return script


def _check_step_name(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise ValueError("must be one line without spaces around it")
    return name


def _check_condition(text: str) -> str:
    try:
        Condition(text)
    except ConditionError as error:
        raise ValueError(str(error)) from None
    return text


def _check_query(text: str) -> str:
    try:
        parse(text)
    except QueryError as error:
        raise ValueError(str(error)) from None
    return text


def _not_too_long(limit: int) -> AfterValidator:
    def check(seconds: int) -> int:
        if seconds > limit:
            raise ValueError(f"must be at most {limit // 86400}d")
        return seconds

    return AfterValidator(check)


def _positive(seconds: int) -> int:
    if seconds < 1:
        raise ValueError("must be at least 1s")
    return seconds


Script = Annotated[Text, AfterValidator(_check_script)]
StepName = Annotated[Text, Field(min_length=1, max_length=100), AfterValidator(_check_step_name)]
ParameterName = Annotated[str, AfterValidator(check_name), Field(json_schema_extra={"pattern": NAME_PATTERN})]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Bodies(_Part):
    """One script per shell; at least one."""

    bash: Script | None = None
    powershell: Script | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.bash is None and self.powershell is None:
            raise ValueError("needs a script for bash or powershell")
        return self

    def for_platform(self, platform: str) -> str | None:
        """The script a target of this platform would run; None when there is none."""
        shell = SHELL_OF.get(platform)
        return None if shell is None else getattr(self, shell)


class Step(_Part):
    """One step. `timeout` is in seconds and holds for each body by itself; `become` holds for all of them."""

    name: StepName
    effect: Effect = "change"
    become: StrictBool = False
    reboots: StrictBool = False
    timeout: Annotated[Seconds, AfterValidator(_positive), _not_too_long(MAX_TIMEOUT)] = 600
    when: (
        Annotated[Text, Field(min_length=1, max_length=MAX_CONDITION), AfterValidator(_check_condition)]
        | None
    ) = None
    check: Bodies | None = None
    run: Bodies
    verify: Bodies | None = None
    undo: Bodies | None = None

    @model_validator(mode="after")
    def _fits_its_effect(self) -> Self:
        if self.effect == "read" and self.undo is not None:
            raise ValueError("a step of effect read changes nothing, so it cannot have undo")
        if self.effect == "read" and self.reboots:
            raise ValueError("a step that reboots is no read; its effect is change or destructive")
        return self

    @property
    def condition(self) -> Condition | None:
        """The compiled `when`."""
        return None if self.when is None else Condition(self.when)

    def bodies(self, kind: BodyKind) -> Bodies | None:
        """The bodies of one kind."""
        found: Bodies | None = getattr(self, kind)
        return found


class Rollout(_Part):
    """How a run spreads over its targets; `automation.definitions.rollout` has the arithmetic.

    `canary` None means: one target first when the workflow changes anything and there are more, else none.
    """

    canary: Annotated[StrictInt, Field(ge=0, le=100_000)] | None = None
    batches: Annotated[tuple[Size, ...], Field(min_length=1, max_length=100)] = Field(
        default=("100%",), validate_default=True
    )
    max_parallel: Annotated[StrictInt, Field(ge=1, le=1_000)] = 50
    max_failures: Share = 0
    bake: Annotated[Seconds, _not_too_long(MAX_BAKE)] = 0
    on_failure: Literal["undo", "stop", "pause"] = "stop"


class Workflow(_Part):
    """A workflow as people and the AI write it. `targets` is the target query of runs that name none."""

    name: Annotated[Text, Field(pattern=SLUG_PATTERN)]
    summary: Annotated[Text, Field(max_length=500)] = ""
    parameters: Annotated[dict[ParameterName, Parameter], Field(max_length=MAX_PARAMETERS)] = Field(
        default_factory=dict, json_schema_extra={"additionalProperties": False}
    )
    targets: (
        Annotated[Text, Field(min_length=1, max_length=MAX_QUERY), AfterValidator(_check_query)] | None
    ) = None
    rollout: Rollout | None = None
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> Self:
        conditions = [(step.name, step.condition) for step in self.steps]
        findings = check_references(conditions, parameters=list(self.parameters))
        if findings:
            raise PydanticCustomError("references", "names things that do not exist", {"findings": findings})
        return self

    @property
    def tier(self) -> Effect:
        """The highest effect any step declares."""
        return max((step.effect for step in self.steps), key=EFFECTS.index)

    def canonical(self) -> dict[str, Any]:
        """Plain JSON data: every default filled in, durations in seconds; equal workflows give equal data."""
        return self.model_dump(mode="json")

    @classmethod
    def from_canonical(cls, data: dict[str, Any]) -> "Workflow":
        """The workflow `canonical` was made of; DefinitionError for anything else."""
        return read_workflow(data, origin="stored workflow")


_PARTS: dict[str, type[BaseModel]] = {"parameters": Parameter, "steps": Step, "rollout": Rollout}


def _known_keys(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that may stand directly under `path` in a definition."""
    match path:
        case ():
            model: type[BaseModel] = Workflow
        case ("rollout",) | ("parameters", _) | ("steps", _):
            model = _PARTS[str(path[0])]
        case ("steps", _, kind) if kind in BODY_KINDS:
            model = Bodies
        case _:
            return ()
    return tuple(model.model_fields)


def load_workflow(text: str, *, origin: str = "workflow") -> Workflow:
    """Read a workflow from YAML or JSON text.

    Raises DefinitionError with everything that is wrong, each with line, path and message; `origin` (a file
    name, say) is named in its text.
    """
    return _validated(read_document(text, origin=origin), origin)


def read_workflow(data: object, *, origin: str = "workflow") -> Workflow:
    """Read a workflow from plain data, as an API call brings it; like `load_workflow`, without lines."""
    if not is_small(data):
        finding = Finding(line=None, path="", message="too many values, or nested too deeply")
        raise DefinitionError([finding], origin=origin)
    return _validated(Document(data), origin)


def read_rollout(data: object, *, origin: str = "rollout") -> Rollout:
    """Read the rollout of one run from plain data; DefinitionError with everything that is wrong."""
    try:
        return Rollout.model_validate(data)
    except ValidationError as error:
        keys = tuple(Rollout.model_fields)
        findings = explain(error, Document(data), lambda path: keys if not path else ())
        raise DefinitionError(findings, origin=origin) from None


def _validated(document: Document, origin: str) -> Workflow:
    try:
        return Workflow.model_validate(document.data)
    except ValidationError as error:
        raise DefinitionError(explain(error, document, _known_keys), origin=origin) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the language, for editors and models.

    It is the outer form; names, patterns, conditions and queries are checked by `load_workflow`.
    """
    schema = Workflow.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "OpsPortal workflow",
    }


class MissingBody(NamedTuple):
    """A body a step declares, but not for this platform."""

    step: str
    kind: BodyKind
    platform: str
    shell: str | None


def missing_bodies(workflow: Workflow, platforms: Iterable[str]) -> list[MissingBody]:
    """Which bodies targets of these platforms would lack; empty when the workflow can run on all of them.

    A declared `check`, `verify` or `undo` must exist for every platform, too: a target whose result nobody
    checks must not look like the others.
    """
    return [
        MissingBody(step.name, kind, platform, SHELL_OF.get(platform))
        for platform in sorted(set(platforms))
        for step in workflow.steps
        for kind in BODY_KINDS
        if (bodies := step.bodies(kind)) is not None and bodies.for_platform(platform) is None
    ]
