"""From words for machines to a target query, by the names the inventory really has. Never a guess."""

import difflib
import heapq
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiworkflows.planners.contract import InventoryView, Question
from aiworkflows.planners.reading import ARTICLES, EVERY, FILLERS, MACHINES, QUALIFIERS, Phrase
from aiworkflows.planners.retrieval import trigrams

_ENDING: Final = re.compile(r"\s+(servers?|hosts?|box|boxes|machines?)$")
_DIGITS: Final = re.compile(r"\d+")
_SPACES: Final = re.compile(r"[\s_-]+")
# What people call an environment, whatever the inventory calls it.
ENVIRONMENTS: Final = (
    frozenset({"prod", "production", "live", "prd"}),
    frozenset({"staging", "stage", "stg", "preprod"}),
    frozenset({"dev", "development"}),
    frozenset({"test", "testing", "qa"}),
)
# "test nginx" and "go live" are no places; these are, wherever they stand.
_PLAIN_ENVIRONMENTS: Final = frozenset({"prod", "production", "staging", "preprod"})
_SAY_NOTHING: Final = FILLERS | MACHINES | EVERY | QUALIFIERS | {"only", "&", "everywhere", "everything"}
# What narrows a set of targets down, where no phrase took it in.
RESTRICTING: Final = frozenset(
    {"but", "tagged", "tag", "tags", "labelled", "labeled", "label", "marked", "whose", "having", "minus"}
    | {"besides", "skip", "skipping", "excluding", "except", "excluded", "exempt", "outside", "unless"}
)
# Who says so may name what shall be left alone.
_SPARING: Final = frozenset(
    {"leave", "leaving", "keep", "ignore", "spare", "omit", "alone", "not", "no", "never", "don't", "only"}
    | {"everything", "everywhere", "later"}
    | EVERY
)
LONGEST_NAME: Final = 6
FEW: Final = 100
MOST_CHOICES: Final = 8


def key(name: str) -> str:
    """Make names alike that people take for the same: "Web-Servers", "web_servers" and "web" are "web"."""
    plain = _SPACES.sub(" ", name.strip().lower())
    return _ENDING.sub("", plain)


def term(field: str, name: str) -> str:
    """Write one term of a target query."""
    # Quoted whenever a plain word could be read as something else.
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
    return f"{field}:{name}" if plain else f'{field}:"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Resolved:
    """A target query, or the question that has to be answered first."""

    query: str = ""
    question: Question | None = None


class Names:
    """The inventory, looked up by what people say."""

    def __init__(self, inventory: InventoryView) -> None:
        self._inventory = inventory
        self._targets = {name.lower(): name for name in inventory.targets}
        self._shapes = {_shape(name) for name in inventory.targets}
        self._groups = _by_key(inventory.groups)
        self._tags = _by_key(inventory.tags)
        self._joined = _by_key(inventory.groups, _joined)

    def resolve(self, phrases: Sequence[Phrase]) -> Resolved:
        """Turn all phrases of a request into one target query."""
        found: list[str] = []
        everything = False
        for phrase in phrases:
            terms, every, question = self._phrase(phrase)
            if question:
                return Resolved(question=question)
            everything = everything or every
            found += [f"-{each}" for each in terms] if phrase.negated else terms
        terms = sorted(dict.fromkeys(found), key=lambda each: each.startswith("-"))
        wanted = [each for each in terms if not each.startswith("-")]
        for field in ("group:", "name:", "env:", "os:"):
            same = [each for each in wanted if each.startswith(field)]
            if len(same) > 1:
                text = "One run covers one set of targets, and no target is in all of these. Which one?"
                return Resolved(question=Question("targets", text, tuple(same)))
        if wanted:
            return Resolved(query=" ".join(terms))
        if everything:
            return Resolved(query=" ".join(["all", *terms]))
        return Resolved(question=Question("targets", "On which targets?", self._some()))

    @staticmethod
    def narrowed(phrases: Sequence[Phrase], query: str) -> Question | None:
        """Ask where a clause tells which of the targets are meant: no query can say what it does."""
        odd = [phrase for phrase in phrases if phrase.clause]
        if not query or not odd:
            return None
        text = f'"{" ".join(odd[0].words)} …": a sentence cannot choose by how targets are. All of these?'
        return Question("targets", text, (query,))

    @staticmethod
    def elsewhere(unknown: Sequence[str], query: str) -> Question | None:
        """Ask where the request also names a place that nobody knows: "the web servers in europe"."""
        if not query or not unknown:
            return None
        text = f'Nothing in the inventory is called "{", ".join(unknown)}". Are these the targets meant?'
        return Question("targets", text, (query,))

    def doubt(self, query: str, left: Sequence[str], software: Iterable[str]) -> Question | None:
        """Ask where words outside of all phrases may tell where, too: "all servers … tagged edge".

        Asking for nothing is better than running on more targets than were meant, or on others.
        """
        known = {*query.split(), *software}
        terms = dict.fromkeys(
            each
            for at, word in enumerate(left)
            if word not in known
            for each in self._longest(left, at)[1]
            if each not in known and each not in query
        )
        following = [*left[1:], ""] if left else []
        pairs = zip(left, following, strict=True)
        odd = [word for word, after in pairs if word in RESTRICTING and (word, after) != ("but", "only")]
        if not query or not (terms or odd):
            return None
        said = " ".join(odd) or ", ".join(terms)
        text = f'The request also says "{said}": what does it mean for the targets? Which ones?'
        narrowed = [each if query == "all" else f"{query} {each}" for each in terms]
        return Question("targets", text, (*narrowed[:MOST_CHOICES], query))

    @property
    def words(self) -> frozenset[str]:
        """All words that groups, tags and environments are named with, in lower case."""
        names = (*self._inventory.groups, *self._inventory.tags, *self._inventory.environments)
        return frozenset(word for name in names for word in _SPACES.sub(" ", name.lower()).split())

    def said_plainly(self, words: Sequence[str]) -> tuple[str, ...]:
        """Give the name of several words that stands among these by itself: "the load balancers are slow".

        None for a name of one word, which may be meant otherwise ("mail", "cache"), and none where
        something shall be spared.
        """
        if (_SPARING | RESTRICTING) & set(words):
            return ()
        for at in range(len(words) - 1):
            size, choices = self._longest(words, at)
            if size > 1 and len(choices) == 1:
                return tuple(words[at : at + size])
        return ()

    def is_place(self, word: str) -> bool:
        """Is this word by itself a target's name, built like one, or the plain word for an environment?"""
        if word in self._targets:
            return True
        # "web-9" where there is a web-1: a target that is meant and does not exist.
        if any(letter.isdigit() for letter in word) and _shape(word) in self._shapes:
            return True
        return word in _PLAIN_ENVIRONMENTS and bool(self._lookup([word]))

    def settle(self, phrase: Phrase) -> tuple[Phrase | None, tuple[str, ...]]:
        """Give what of a phrase tells where (None: nothing), and the words that do not."""
        if phrase.kind == "strong":
            return phrase, ()
        if phrase.kind == "weak":
            place = phrase.of_machines or self._begins_with_a_name(phrase.words)
            return (phrase, ()) if place else (None, phrase.words)
        words = phrase.words
        if words[0] in EVERY or words[0] == "everywhere":
            return phrase, ()
        for start in range(len(words) - 1):
            if self._longest(words, start)[1]:
                return replace(phrase, words=words[start:]), words[:start]
        # "the frontend servers": machines that nobody knows; without an article it was no name at all.
        return (phrase, ()) if words[0] in ARTICLES and len(words) > 2 else (None, words[:-1])

    def _begins_with_a_name(self, words: Sequence[str]) -> bool:
        said = [word for word in words if word not in ARTICLES]
        return bool(said) and (self.is_place(said[0]) or bool(self._longest(said, 0)[1]))

    def _phrase(self, phrase: Phrase) -> tuple[list[str], bool, Question | None]:
        words = phrase.words
        terms: list[str] = []
        unknown: list[str] = []
        every = "everywhere" in words
        at = 0
        while at < len(words):
            size, choices = self._longest(words, at)
            if len(choices) > 1:
                said = " ".join(words[at : at + size])
                text = f'"{said}" can mean several things. Which one?'
                return [], False, Question("targets", text, tuple(choices))
            if choices:
                terms += choices
            else:
                every = every or words[at] in EVERY
                if words[at] not in _SAY_NOTHING:
                    unknown.append(words[at])
            at += max(1, size)
        if unknown:
            return [], False, self._unknown(unknown)
        return terms, every and not terms, None

    def _longest(self, words: Sequence[str], at: int) -> tuple[int, list[str]]:
        for size in range(min(LONGEST_NAME, len(words) - at), 0, -1):
            choices = self._lookup(words[at : at + size])
            if choices:
                return size, choices
        return 0, []

    def _lookup(self, words: Sequence[str]) -> list[str]:
        """Everything these words name: groups, or else tags; and a target, an environment or a platform."""
        said = " ".join(words)
        if said in MACHINES or said in FILLERS or said in EVERY:
            return []
        wanted = key(said)
        groups = self._groups.get(wanted) or self._joined.get(_joined(said)) or ()
        named = [term("group", name) for name in groups]
        if not named:
            named = [term("tag", name) for name in self._tags.get(wanted, ())]
        if said in self._targets:
            named.append(term("name", self._targets[said]))
        named += [
            term("env", name) for name in self._inventory.environments if _same_environment(name, wanted)
        ]
        named += [term("os", name) for name in self._inventory.platforms if name == wanted]
        return named

    def _unknown(self, unknown: Sequence[str]) -> Question:
        missing = " ".join(unknown)
        text = f'Nothing in the inventory is called "{missing}". Which targets are meant?'
        return Question("targets", text, self._near(missing) or self._some())

    def _near(self, said: str) -> tuple[str, ...]:
        named = {key(name): term("tag", name) for name in self._inventory.tags}
        named |= {name: term("name", original) for name, original in self._targets.items()}
        named |= {key(name): term("group", name) for name in self._inventory.groups}
        wanted = key(said)
        # difflib alone would take seconds over tens of thousands of names.
        parts = set(trigrams([wanted]))
        likely = heapq.nlargest(FEW, named, key=lambda name: _share(parts, name))
        near = difflib.get_close_matches(wanted, likely, n=MOST_CHOICES, cutoff=0.6)
        words = wanted.split()
        inside = [name for name in likely if len(wanted) > 2 and (wanted in name.split() or name in words)]
        return tuple(named[name] for name in dict.fromkeys([*near, *inside]))[:MOST_CHOICES]

    def _some(self) -> tuple[str, ...]:
        return tuple(term("group", name) for name in sorted(self._inventory.groups)[:MOST_CHOICES])


def _share(parts: set[str], name: str) -> float:
    """How much of two texts' trigrams is common to both."""
    others = set(trigrams([name]))
    return len(parts & others) / len(parts | others)


def _shape(name: str) -> str:
    return _DIGITS.sub("#", name.lower())


def _joined(name: str) -> str:
    """Make "load balancers", "load-balancers" and "loadbalancers" alike."""
    return _SPACES.sub("", name.strip().lower())


def _by_key(names: Iterable[str], key: Callable[[str], str] = key) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return found


def _same_environment(name: str, wanted: str) -> bool:
    if name.lower() == wanted:
        return True
    return any(name.lower() in words and wanted in words for words in ENVIRONMENTS)
