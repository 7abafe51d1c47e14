"""What a request says: its words, its software, and the phrases that tell where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiworkflows.planners.naming import ENVIRONMENTS, Names
from aiworkflows.planners.quotes import without_quotes
from aiworkflows.planners.reading import ARTICLES, EVERY, FILLERS, MACHINES, Phrase, Reading, read
from aiworkflows.planners.retrieval import stem
from aiworkflows.planners.runbooks import Runbook
from aiworkflows.planners.things import Dictionary, Thing, unlisted
from aiworkflows.planners.wording import Forms, Spelling

ENVIRONMENT_WORDS: Final = frozenset().union(*ENVIRONMENTS)
_SOFTWARE: Final = "software-name"
_KINDS: Final = frozenset({"package", "service", "daemon"})
# Words after which "ssh" is not the service.
_NOT_A_THING_BEFORE: Final = frozenset({"session", "sessions", "login", "logins", "connections"})
# After these, an unknown word may be a place.
_INSIDE: Final = frozenset({"in", "at", "inside", "within"})
# "in order", "in total": no places.
_NO_PLACE: Final = frozenset(
    (  # noqa: SIM905  # as a literal: one line a word
        "order total detail details general parallel particular case turn advance batches moment short "
        "sequence background maintenance future"
    ).split()
)
_COMMON: Final = frozenset(
    (  # noqa: SIM905  # as a literal: one line a word
        "me i we you it us he she they can could would should will shall may might must need needs want "
        "wants let lets there here what when where why how if whether with by not no so be is are was "
        "were has have had do does did get got give make sure see tell say ask put go going quick "
        "quickly bit thing things stuff some more new old fix help hi hello hey thanks thank whats "
        "what's who's it's everything out off back into for from to until than very really software app "
        "application service services package packages daemon process program version release monday "
        "tuesday wednesday thursday friday saturday sunday day days week"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the catalogue sees it."""

    phrases: tuple[Phrase, ...]
    words: tuple[str, ...]
    told: tuple[str, ...]
    things: tuple[Thing, ...]
    unlisted: tuple[str, ...]
    named: tuple[str, ...]
    left: tuple[str, ...]
    unknown_places: tuple[str, ...] = ()
    quoted: str | None = None
    log_file: str | None = None


class Understanding:
    """Sees requests with the words of a catalogue and of the dictionary of software.

    `examples`: each runbook's, as a request would be seen.
    """

    def __init__(self, runbooks: Mapping[str, Runbook], things: Dictionary) -> None:
        self._things = things
        self._forms = Forms.load()
        verbs = {word for book in runbooks.values() for each in book.verbs for word in each.split()}
        self._stems = {stem(verb) for book in runbooks.values() for verb in book.verbs}
        self._spelling = Spelling(verbs)
        self._topics = {word for word in verbs if word in things}
        self._telling_nothing = (_COMMON | FILLERS) - verbs
        self.examples = {
            name: [self.mask(self.words_of(read(self.written_out(example))), ()) for example in book.examples]
            for name, book in runbooks.items()
        }
        known = {word for rows in self.examples.values() for words in rows for word in words} | verbs
        self._vocabulary = {stem(word) for word in known | _COMMON | FILLERS | MACHINES | EVERY}

    def written_out(self, request: str, *, names: frozenset[str] = frozenset()) -> str:
        """Leave out what is quoted, and write short forms out that are none of these `names`."""
        return self._forms.written_out(without_quotes(request), names=names)

    def see(self, reading: Reading, names: Names) -> Request:
        """Tell places, software and other words of a request apart by the names of this inventory."""
        here = [word for word in reading.rest if names.is_place(word) and word not in self._things]
        phrases = [Phrase((word,), "strong") for word in here]
        rest = [word for word in reading.rest if word not in here]
        strange: list[str] = []
        for phrase in reading.phrases:
            place, others = names.settle(phrase)
            phrases += [place] if place else []
            rest += others
            if place is None and phrase.after in _INSIDE:
                strange += [each for each in others if each not in _NO_PLACE]
        if not phrases and (said := names.said_plainly(rest)):
            phrases.append(Phrase(said, "strong"))
            rest = [word for word in rest if word not in said]
        words = tuple(self._spelled(word) for word in rest)
        things = self._things.find(self._speaking_of(words))
        unknown = tuple(word for word in words if self._is_unlisted(word))
        named = tuple(word for word in unknown if self._is_named(word, reading.rest))
        told = self._told(words, unknown)
        masked = self.mask(words, unknown)
        return Request(
            phrases=tuple(phrases),
            words=masked,
            told=told,
            things=tuple(things),
            unlisted=unknown,
            named=named,
            left=tuple(rest),
            unknown_places=tuple(word for word in strange if word in unknown),
        )

    def _is_named(self, word: str, rest: Sequence[str]) -> bool:
        """Does an unlisted word stand where the name of software stands: "update the foo", "foo service"?"""
        if word not in rest:
            return False
        at = rest.index(word)
        before = [each for each in rest[max(0, at - 2) : at] if each not in ARTICLES]
        after = rest[at + 1 : at + 2]
        if set(after) & _KINDS or set(before[-1:]) & _KINDS:
            return True
        return not after and bool(before) and stem(before[-1]) in self._stems

    @staticmethod
    def words_of(reading: Reading) -> list[str]:
        """Read an example as `see` reads a request, only that no inventory is known."""
        rest = list(reading.rest)
        for phrase in reading.phrases:
            if phrase.kind == "weak" and not phrase.of_machines and not ENVIRONMENT_WORDS & set(phrase.words):
                rest += phrase.words
        return rest

    def _told(self, words: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        """Say "software" for its name, and leave every other word: how something is asked tells much."""
        speaking = set(self._speaking_of(words))
        return tuple(
            _SOFTWARE
            if word in others or (word in speaking and word in self._things and word not in self._topics)
            else word
            for word in words
        )

    def mask(self, words: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
        """Leave software out: which one it is says nothing about what to do with it."""
        speaking = set(self._speaking_of(words))
        return tuple(
            word
            for word in words
            if word not in others
            and word not in self._telling_nothing
            # "sudo" and "ntp" are software, and also what some runbooks are about.
            and not (word in speaking and word in self._things and word not in self._topics)
        )

    @staticmethod
    def _speaking_of(words: Sequence[str]) -> list[str]:
        following = [*words[1:], ""]
        return [
            word for word, after in zip(words, following, strict=False) if after not in _NOT_A_THING_BEFORE
        ]

    def _spelled(self, word: str) -> str:
        """Correct a slip in a verb; names are left alone."""
        known = word in self._things or stem(word) in self._vocabulary
        return word if known else self._spelling.mended(word)

    def _is_unlisted(self, word: str) -> bool:
        return (
            len(word) > 1
            and word not in self._things
            and stem(word) not in self._vocabulary
            and unlisted(word) is not None
        )
