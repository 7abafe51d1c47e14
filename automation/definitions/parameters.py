"""Parameters of a run: checked against their declaration, and handed to bash as data, never as script
text."""

from collections.abc import Iterable, Mapping

from automation.definitions.errors import ParameterError, ParameterFinding, did_you_mean
from automation.definitions.names import check_name, well_formed
from automation.definitions.parameter_types import MAX_VALUE_BYTES, Parameter, Value, check_text
from automation.definitions.schema import Workflow

EXPORT_LIMIT = 32 * 1024
EXPORT_TOTAL = 128 * 1024
PRELUDE_LINES = 1


def check_parameters(workflow: Workflow, given: Mapping[str, object]) -> dict[str, Value]:
    """Every declared parameter with its typed value, in order of declaration.

    An optional parameter that was not given has its default, or None (null in conditions, empty in bash).
    Raises ParameterError with everything that is wrong.
    """
    findings = [
        ParameterFinding(
            path=f"parameters.{name[:64]}",
            message="is not declared" + did_you_mean(name, workflow.parameters),
        )
        for name in given
        if name not in workflow.parameters
    ]
    values: dict[str, Value] = {}
    for name, parameter in workflow.parameters.items():
        try:
            values[name] = _value_of(parameter, given.get(name))
        except ValueError as error:
            findings.append(ParameterFinding(path=f"parameters.{name}", message=str(error)))
    if findings:
        raise ParameterError(findings)
    return values


def _value_of(parameter: Parameter, given: object) -> Value:
    # Forms send an empty text for a field nobody filled.
    if given is None or (given == "" and not parameter.is_required):
        if parameter.is_required:
            raise ValueError("is required")
        return parameter.default
    return parameter.convert(given)


def check_variables(given: Mapping[str, object]) -> dict[str, Value]:
    """Variables of a target or group: names by the rule of parameters, values text, numbers, booleans, lists.

    Raises ParameterError with everything that is wrong.
    """
    findings: list[ParameterFinding] = []
    values: dict[str, Value] = {}
    for name, value in given.items():
        try:
            values[check_name(name)] = _typed(value)
        except ValueError as error:
            findings.append(ParameterFinding(path=f"variables.{name[:64]}", message=str(error)))
    if findings:
        raise ParameterError(findings)
    return values


def _typed(value: object) -> Value:
    match value:
        case bool():
            return value
        case int():
            return Parameter(type="integer").convert(value)
        case str():
            return Parameter(type="string", required=False).convert(value)
        case list() | tuple():
            return Parameter(type="list", required=False).convert(value)
    raise ValueError("must be text, a whole number, true, false or a list of texts")


def prelude(
    values: Mapping[str, Value],
    outputs: Mapping[str, str] | None = None,
    *,
    secrets: Mapping[str, str] | None = None,
) -> bytes:
    """One line of bash that assigns every value; line N of a script after it is line N + PRELUDE_LINES.

    Booleans are `true` and `false`, None is empty, lists are joined by line feeds (items hold none). An
    output `version` is `$OUTPUT_version`. Values up to EXPORT_LIMIT bytes are exported, the smallest first
    until EXPORT_TOTAL is reached, because a larger environment would keep every command from starting.
    Secrets are never exported, also when the login's environment exports the same name.

    Outputs come from targets: what cannot be a variable is left out here, so that no target can
    break its run. Everything else raises ParameterError, without values: refused names, NUL, broken Unicode,
    a name that is a secret and a value at once.
    """
    private = secrets or {}
    texts = _checked([*values.items(), *private.items()])
    texts |= {f"OUTPUT_{name}": text for name, text in (outputs or {}).items() if _is_output(name, text)}
    exported = _exported({name: text for name, text in texts.items() if name not in private})
    # An inherited `set -a` would export secrets, an inherited `set -x` print them.
    parts = [b"set +ax"]
    parts += [b"unset -v %b; %b=%b" % (name.encode(), name.encode(), quote(texts[name])) for name in texts]
    if exported:
        parts.append(b"export " + b" ".join(name.encode() for name in exported))
    return b"; ".join(parts) + b"\n"


def powershell_values(
    values: Mapping[str, Value],
    outputs: Mapping[str, str] | None = None,
    *,
    secrets: Mapping[str, str] | None = None,
) -> dict[str, Value]:
    """The same for PowerShell: each value keeps its type, and None is `$null`. Secrets are texts.

    Raises ParameterError as `prelude` does.
    """
    private = secrets or {}
    plain = {name: value for name, value in values.items() if name not in private}
    _checked([*plain.items(), *private.items()])
    told = {f"OUTPUT_{name}": text for name, text in (outputs or {}).items() if _is_output(name, text)}
    return {**plain, **private, **told}


def _checked(given: Iterable[tuple[str, Value]]) -> dict[str, str]:
    findings: list[ParameterFinding] = []
    texts: dict[str, str] = {}
    for name, value in given:
        try:
            if name in texts:
                raise ValueError("is a secret and a plain value at once")
            texts[check_name(name)] = _bounded_text(value)
        except ValueError as error:
            findings.append(ParameterFinding(path=f"parameters.{name[:80]}", message=str(error)))
    if findings:
        raise ParameterError(findings)
    return texts


def _is_output(name: str, text: str) -> bool:
    try:
        check_text(text)
    except ValueError:
        return False
    return well_formed(name)


def _bounded_text(value: Value) -> str:
    text = check_text(as_text(value))
    if len(text.encode()) > MAX_VALUE_BYTES:
        raise ValueError(f"must have at most {MAX_VALUE_BYTES // 1024} KiB")
    return text


def as_text(value: Value) -> str:
    """A typed value as bash sees it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return "\n".join(value)
    return str(value)


def _exported(texts: Mapping[str, str]) -> list[str]:
    sizes = sorted((len(text.encode()) + len(name) + 2, name) for name, text in texts.items())
    names = []
    total = 0
    for size, name in sizes:
        total += size
        if total > EXPORT_TOTAL or len(texts[name].encode()) > EXPORT_LIMIT:
            break
        names.append(name)
    return names


def quote(text: str) -> bytes:
    """One bash word of one line that stands for exactly these characters, in every locale.

    Single quotes hold everything but themselves; line feeds are written as `$'\\n'` to keep the line count.
    """
    word = text.replace("'", "'\\''").replace("\n", "'$'\\n''")
    return b"'" + word.encode() + b"'"


def build_payload(prelude: bytes, script: str) -> bytes:
    """What bash is given to run: the assignments, then the script, byte for byte."""
    return prelude + check_text(script).encode()
