"""The workflow language, version 1: what a workflow, its steps and its rollout are made of."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from automation.definitions.checks import ITEM, Referring, check_derived, check_references, check_values
from automation.definitions.conditions import MAX_CONDITION, Condition
from automation.definitions.durations import Seconds, Share, Size
from automation.definitions.errors import ConditionError, DefinitionError, Finding, QueryError
from automation.definitions.explaining import explain
from automation.definitions.loading import Document, is_small, read_document
from automation.definitions.names import NAME_PATTERN, check_name
from automation.definitions.parameter_types import ADDRESS_SUFFIX, MAX_ITEMS, Parameter, Text
from automation.definitions.query import MAX_QUERY, parse
from automation.definitions.step_kinds import Download, Part, Reboot, Retry, Upload, at_most, positive

Effect = Literal["read", "change", "destructive"]
Shell = Literal["bash", "powershell"]
BodyKind = Literal["check", "run", "verify", "undo"]
BODY_KINDS: tuple[BodyKind, ...] = ("check", "run", "verify", "undo")
EFFECTS: tuple[Effect, ...] = ("read", "change", "destructive")
RESERVED_NAMES = ("schema",)
STEP_KINDS = ("run", "reboot", "upload", "download")
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


def _check_workflow_name(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} has a meaning of its own in addresses; take another name")
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


Script = Annotated[Text, AfterValidator(_check_script)]
ParameterName = Annotated[str, AfterValidator(check_name), Field(json_schema_extra={"pattern": NAME_PATTERN})]
Items = Annotated[
    tuple[Annotated[Text, Field(min_length=1, max_length=1000)], ...],
    Field(min_length=1, max_length=MAX_ITEMS),
]


def _list_or_name(given: object) -> str:
    return "name" if isinstance(given, str) else "items"


# Told apart before they are read, so that what is wrong is told of the one that was meant.
Loop = Annotated[
    Annotated[ParameterName, Tag("name")] | Annotated[Items, Tag("items")], Discriminator(_list_or_name)
]
StepName = Annotated[Text, Field(min_length=1, max_length=100), AfterValidator(_check_step_name)]


class Bodies(Part):
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


class Step(Part):
    """One step. `timeout` is in seconds and holds for each body by itself; `become` holds for all of them.

    It has a `run` body, or is of another kind: `reboot`, `upload`, `download`. `values` are handed over
    like parameters.
    `for_each` makes a step of it for each item of a list, or of the list parameter it names, as `$item`.
    `idempotent` says that running it twice does no harm; only then, or when it only reads, may it `retry`.
    """

    name: StepName
    effect: Effect = "change"
    become: StrictBool = False
    reboots: StrictBool = False
    timeout: Annotated[Seconds, AfterValidator(positive), at_most(MAX_TIMEOUT)] = 600
    when: (
        Annotated[Text, Field(min_length=1, max_length=MAX_CONDITION), AfterValidator(_check_condition)]
        | None
    ) = None
    for_each: Loop | None = None
    values: Annotated[dict[ParameterName, Text], Field(max_length=20)] = Field(default_factory=dict)
    idempotent: StrictBool = False
    retry: Retry | None = None
    check: Bodies | None = None
    run: Bodies | None = None
    reboot: Reboot | None = None
    upload: Upload | None = None
    download: Download | None = None
    verify: Bodies | None = None
    undo: Bodies | None = None

    @model_validator(mode="after")
    def _fits_its_effect(self) -> Self:
        if self.effect == "read" and self.undo is not None:
            raise ValueError("a step of effect read changes nothing, so it cannot have undo")
        if self.effect == "read" and (self.reboots or self.reboot is not None):
            raise ValueError("a step that reboots is no read; its effect is change or destructive")
        if self.retry is not None and not self.is_repeatable:
            raise ValueError("retry needs idempotent: true, or effect: read; else it could do its work twice")
        return self

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        kinds = [kind for kind in STEP_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = f"not {' and '.join(kinds)}" if kinds else "and has none"
            raise ValueError(f"needs one of {', '.join(STEP_KINDS)}, {found}")
        if self.reboot is not None and (self.check is not None or self.undo is not None):
            raise ValueError("a reboot can be verified, but not checked or undone")
        if self.upload is not None and (self.check is not None or self.undo is not None):
            raise ValueError("an upload brings its own check and undo; it can be verified")
        if self.upload is not None and self.effect == "read":
            raise ValueError("an upload is no read; its effect is change or destructive")
        if self.download is not None and (self.effect != "read" or self.check is not None):
            raise ValueError("a download only looks: it needs effect: read, and no check")
        if (self.reboot is not None or self.upload is not None) and self.retry is not None:
            # After a second upload the former file would be our own.
            raise ValueError("a reboot or an upload is not tried again")
        if self.for_each is not None and ITEM in self.values:
            raise ValueError("values must not have item, for for_each gives it")
        return self

    @property
    def is_repeatable(self) -> bool:
        """Whether running it again does no harm."""
        return self.idempotent or self.effect == "read"

    @property
    def condition(self) -> Condition | None:
        """The compiled `when`."""
        return None if self.when is None else Condition(self.when)

    def bodies(self, kind: BodyKind) -> Bodies | None:
        """The bodies of one kind."""
        found: Bodies | None = getattr(self, kind)
        return found


class Rollout(Part):
    """How a run spreads over its targets; `automation.definitions.rollout` has the arithmetic.

    `canary` None means: one target first when the workflow changes anything and there are more, else none.
    """

    canary: Annotated[StrictInt, Field(ge=0, le=100_000)] | None = None
    batches: Annotated[tuple[Size, ...], Field(min_length=1, max_length=100)] = Field(
        default=("100%",), validate_default=True
    )
    max_parallel: Annotated[StrictInt, Field(ge=1, le=1_000)] = 50
    max_failures: Share = 0
    bake: Annotated[Seconds, at_most(MAX_BAKE)] = 0
    on_failure: Literal["undo", "stop", "pause"] = "stop"


class Workflow(Part):
    """A workflow as people and the AI write it. `targets` is the target query of runs that name none."""

    name: Annotated[Text, Field(pattern=SLUG_PATTERN), AfterValidator(_check_workflow_name)]
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
        steps = [
            Referring(step.name, step.condition, step.for_each is not None, tuple(step.values))
            for step in self.steps
        ]
        hidden = [name for name, parameter in self.parameters.items() if parameter.is_secret]
        findings = check_references(steps, parameters=self.variable_names(), secrets=hidden)
        lists = [name for name, parameter in self.parameters.items() if parameter.type == "list"]
        findings += check_values(steps, [step.for_each for step in self.steps], self.variable_names(), lists)
        findings += check_derived(self.parameters, self._derived())
        if findings:
            raise PydanticCustomError("references", "names things that do not exist", {"findings": findings})
        return self

    @property
    def tier(self) -> Effect:
        """The highest effect any step declares."""
        return max((step.effect for step in self.steps), key=EFFECTS.index)

    def variable_names(self) -> list[str]:
        """What scripts and conditions can call by name: the parameters, and what comes with them."""
        return [*self.parameters, *self._derived()]

    def _derived(self) -> list[str]:
        targets = [name for name, parameter in self.parameters.items() if parameter.type == "target"]
        return [name + ADDRESS_SUFFIX for name in targets]

    def canonical(self) -> dict[str, Any]:
        """Plain JSON data: every default filled in, durations in seconds; equal workflows give equal data."""
        return self.model_dump(mode="json")

    @classmethod
    def from_canonical(cls, data: dict[str, Any]) -> "Workflow":
        """The workflow `canonical` was made of; DefinitionError for anything else."""
        return read_workflow(data, origin="stored workflow")


_PARTS: dict[str, type[BaseModel]] = {"parameters": Parameter, "steps": Step, "rollout": Rollout}
_STEP_PARTS: dict[str, type[BaseModel]] = {
    "retry": Retry,
    "reboot": Reboot,
    "upload": Upload,
    "download": Download,
}


def _known_keys(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that may stand directly under `path` in a definition."""
    match path:
        case ():
            model: type[BaseModel] = Workflow
        case ("rollout",) | ("parameters", _) | ("steps", _):
            model = _PARTS[str(path[0])]
        case ("steps", _, kind) if kind in BODY_KINDS:
            model = Bodies
        case ("steps", _, kind) if kind in _STEP_PARTS:
            model = _STEP_PARTS[str(kind)]
        case _:
            return ()
    return tuple(field.alias or name for name, field in model.model_fields.items())


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
