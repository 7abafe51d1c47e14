"""How words are meant that are not spelled as the catalogue spells them: short forms and slips of the pen."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import yaml

DATA: Final = Path(__file__).parent / "data" / "words.yaml"
# Below this many letters a word is too like too many others, and below the second a swap of two is no slip.
_LONG_ENOUGH: Final = 5
_SWAPPED: Final = 4
_NEAR: Final = 0.8


class Forms:
    """Short and foreign forms, and what they stand for."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        self._forms = dict(forms)
        longest_first = sorted(map(re.escape, self._forms), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(longest_first)})(?![\w-]|\.\w)", re.IGNORECASE)

    @classmethod
    def load(cls, path: Path = DATA) -> Self:
        """Read the forms that come with the product."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def written_out(self, text: str, *, names: frozenset[str] = frozenset()) -> str:
        """Write every form out; not those of `names`, words in lower case that name something here."""

        def meant(found: re.Match[str]) -> str:
            said = found.group(0).lower()
            return found.group(0) if names & set(said.split()) else self._forms[said]

        return self._pattern.sub(meant, text)


class Spelling:
    """The words that a slip may have been meant to be."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = sorted(word for word in words if len(word) >= _SWAPPED)

    def mended(self, word: str) -> str:
        """Give the word that was meant, or this one when none is near enough.

        Two letters in each other's place are the commonest slip: they come before all else.
        """
        if len(word) < _SWAPPED:
            return word
        swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
        meant = [each for each in self._words if each in swapped]
        if not meant and len(word) >= _LONG_ENOUGH:
            meant = difflib.get_close_matches(word, self._words, n=1, cutoff=_NEAR)
        return meant[0] if meant else word
