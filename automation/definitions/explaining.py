"""Turns what the schema found wrong into findings with line, path and a sentence for people."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from automation.definitions.errors import Finding, did_you_mean
from automation.definitions.loading import Document, Path, spell

KnownKeys = Callable[[Path], tuple[str, ...]]

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys and values",
    "model_type": "must be a mapping of keys and values",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "string_pattern_mismatch": "must match {pattern}",
}


def explain(error: ValidationError, document: Document, known_keys: KnownKeys) -> list[Finding]:
    """Everything the validation found, one finding per path and message."""
    findings: dict[tuple[str, str], Finding] = {}
    details = error.errors(include_url=False, include_input=False)
    above = {detail["loc"][:end] for detail in details for end in range(len(detail["loc"]))}
    for detail in details:
        # A list whose items were refused is then also called too short.
        if detail["type"] == "too_short" and detail["loc"] in above:
            continue
        for path, message in _sentences(detail, document, known_keys):
            finding = Finding(line=document.line_of(path), path=spell(path), message=message)
            findings.setdefault((finding["path"], message), finding)
    return list(findings.values())


def _sentences(detail: Any, document: Document, known_keys: KnownKeys) -> list[tuple[Path, str]]:
    kind: str = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "references":
        return list(context["findings"])
    if kind in ("missing", "extra_forbidden"):
        path: Path = tuple(detail["loc"])
    else:
        path = _inside(document.data, tuple(detail["loc"]))
    return [(path, _sentence(kind, context, path, known_keys) or str(detail["msg"]))]


def _sentence(kind: str, context: dict[str, Any], path: Path, known_keys: KnownKeys) -> str | None:
    if kind == "extra_forbidden":
        return f"unknown key{did_you_mean(str(path[-1]), known_keys(path[:-1]))}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch" and path == ("name",):
        return "must be lower-case letters, digits and hyphens, at most 64"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    template = _SENTENCES.get(kind)
    return template.format(**context) if template else None


def _inside(data: Any, path: Path) -> Path:
    """As much of `path` as leads through the data: the schema adds names of its own behind that."""
    found: list[str | int] = []
    for part in path:
        try:
            data = data[part]
        except (LookupError, TypeError):
            break
        found.append(part)
    return tuple(found)
