"""Software in a request: the names people use, the package and the service they mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

DATA: Final = Path(__file__).parent / "data" / "things.yaml"
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9+._@-]*")


@dataclass(frozen=True, slots=True)
class Thing:
    """A piece of software. `service` is None where it has none or where it is not known."""

    said: str
    package: str
    service: str | None
    known: bool = True


class Dictionary:
    """Common software by each of its names."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        self._things: dict[str, Thing] = {}
        for name, entry in entries.items():
            for said in (name, *entry.get("aka", ())):
                self._things[said] = Thing(said, entry["package"], entry.get("service"))

    @classmethod
    def load(cls, path: Path = DATA) -> Self:
        """Read the dictionary that comes with the product."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def __contains__(self, word: str) -> bool:
        return _bare(word) in self._things

    def find(self, words: Sequence[str]) -> list[Thing]:
        """Give the known software named in these words, each once."""
        found = {}
        for word in words:
            thing = self._things.get(_bare(word))
            if thing:
                found[thing.package] = thing
        return list(found.values())


def unlisted(word: str) -> Thing | None:
    """Take a word for software that no dictionary lists; None when it cannot be a package's name."""
    return Thing(word, word, None, known=False) if SLUG.fullmatch(word) else None


def _bare(word: str) -> str:
    for ending in ("'s", ".service"):
        word = word.removesuffix(ending)
    return word
