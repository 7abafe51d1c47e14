"""Requests that no runbook may answer, and why."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import yaml

from aiworkflows.planners.quotes import without_quotes

DATA: Final = Path(__file__).parent / "data" / "refusals.yaml"


class Refusals:
    """Patterns, each with the reason that is given."""

    def __init__(self, entries: Iterable[Mapping[str, str]]) -> None:
        self._rules = [
            (re.compile(entry["pattern"]), entry["reason"], entry.get("unless") == "software")
            for entry in entries
        ]

    @classmethod
    def load(cls, path: Path = DATA) -> Self:
        """Read the refusals that come with the product."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def reason(self, request: str, *, of_software: bool = False) -> str | None:
        """Say why this request is refused; None when nothing speaks against it.

        `of_software`: it names software that is known.
        """
        text = " ".join(request.lower().replace("’", "'").split())
        text = without_quotes(text)
        for pattern, reason, not_software in self._rules:
            if pattern.search(text) and not (not_software and of_software):
                return reason
        return None
