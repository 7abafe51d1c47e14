"""Requests that no runbook may answer, and why."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import yaml

DATA: Final = Path(__file__).parent / "data" / "refusals.yaml"


class Refusals:
    """Patterns, each with the reason that is given."""

    def __init__(self, entries: Iterable[Mapping[str, str]]) -> None:
        self._rules = [(re.compile(entry["pattern"]), entry["reason"]) for entry in entries]

    @classmethod
    def load(cls, path: Path = DATA) -> Self:
        """Read the refusals that come with the product."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def reason(self, request: str) -> str | None:
        """Say why this request is refused; None when nothing speaks against it."""
        text = " ".join(request.lower().replace("’", "'").split())
        return next((reason for pattern, reason in self._rules if pattern.search(text)), None)
