"""A request read without the inventory: its words, and the phrases that may speak of machines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

WORD: Final = re.compile(r"[a-z0-9](?:[a-z0-9._+@:'*-]*[a-z0-9+*])?|[?!.,;:&]")
# "webservers" are web servers; in the singular it may be a program.
_COMPOUND: Final = re.compile(r"\b([a-z]{2,})(servers|hosts|machines|boxes|nodes)\b")
ENDS: Final = frozenset(".,;:?!")
# After these, words tell where; after "logged" and the like they belong to the verb.
STRONG: Final = frozenset({"on", "onto", "across", "throughout"})
_OF_A_VERB: Final = frozenset(
    {"logged", "log", "logs", "turn", "turned", "hold", "sign", "signed", "low", "short"}
)
# Before these it does not: "put it on hold", "start on boot".
_IDIOMS: Final = frozenset({"hold", "boot", "startup", "demand"})
# These may also tell what ("status of nginx", "up to date"): they count only before names of machines.
WEAK: Final = frozenset({"in", "at", "of", "for", "from", "to", "into", "over", "inside", "within"})
_BUT: Final = frozenset({"except", "excluding", "apart", "other"})
# After "but", a new thought begins with these, and with anything else come those that are left out.
_NEW_THOUGHT: Final = frozenset(
    (  # noqa: SIM905  # as a literal: one line a word
        "only just do don't please first keep leave be make this that then it we i you they there if when "
        "without with"
    ).split()
)
# These leave out only what is a name: "without dropping connections" says nothing of where.
_LESS: Final = frozenset({"without", "minus", "besides", "skip", "skipping", "not"})
# Between machines and the name they have: "every server that is tagged edge".
QUALIFIERS: Final = frozenset(
    {"tagged", "tag", "tags", "labelled", "labeled", "label", "marked", "named", "called"}
)
_LINKS: Final = frozenset(
    (  # noqa: SIM905  # as a literal: one line a word
        "with the a an that which who are is was has have having whose as carrying and"
    ).split()
)
MACHINES: Final = frozenset(
    f"{word}{end}"
    for word in ("server", "host", "machine", "target", "node", "computer", "vm", "instance")
    for end in ("", "s")
) | {"box", "boxes", "fleet", "tier"}
EVERY: Final = frozenset({"all", "every", "each", "any", "entire", "whole"})
ARTICLES: Final = frozenset({"the", "our", "my", "your", "these", "those"})
FILLERS: Final = ARTICLES | frozenset(
    (  # noqa: SIM905  # as a literal: one line a word
        "a an their this that of please pls now right away asap today immediately once again quickly "
        "group groups environment environments env called named tagged tag in on which and or also too "
        "just currently still"
    ).split()
)
# Words that end a phrase of machines because a new thought begins.
BREAKS: Final = frozenset(
    (  # noqa: SIM905  # as a literal: one line a word
        "is are was were be been being run runs running out then with using via by because so has have "
        "had do does did need needs close near low left while when if whether before after until"
    ).split()
)

_RELATIVE: Final = frozenset({"that", "which", "who"})

Kind = Literal["strong", "weak", "bare"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that may speak of machines.

    strong: they do, known or not; weak: if they name something; bare: the last few words of it do.
    `negated`: all but these. `after`: the preposition before them, or "" where there is none.
    `clause`: words follow that tell which of them are meant, by how they are ("that are idle").
    """

    words: tuple[str, ...]
    kind: Kind
    negated: bool = False
    after: str = ""
    clause: bool = False

    @property
    def of_machines(self) -> bool:
        """Does it say "servers", or "all", or "everywhere"?"""
        return any(word in MACHINES or word in EVERY or word == "everywhere" for word in self.words)


@dataclass(frozen=True, slots=True)
class Reading:
    """The phrases that may speak of machines, and the words outside of those."""

    phrases: tuple[Phrase, ...]
    rest: tuple[str, ...]


def read(request: str) -> Reading:
    """Split a request into phrases and the rest."""
    text = request.lower().replace("’", "'").replace("'s ", " is ")
    text = _COMPOUND.sub(r"\1 \2", text)
    # "to date" is no place.
    words = WORD.findall(text.replace("up to date", "up-to-date"))
    phrases: list[Phrase] = []
    taken = [False] * len(words)
    at = 0
    while at < len(words):
        kind, negated, start = _opening(words, at)
        end = _end(words, start) if kind else start
        if kind and end > start:
            phrases.append(
                Phrase(tuple(words[start:end]), kind, negated, words[start - 1], _clause(words, end))
            )
            taken[at:end] = [True] * (end - at)
            at = end
        else:
            at += 1
    _add_bare(words, taken, phrases)
    rest = (word for word, gone in zip(words, taken, strict=True) if not gone and word not in ENDS)
    return Reading(tuple(phrases), tuple(rest))


def _opening(words: Sequence[str], at: int) -> tuple[Kind | None, bool, int]:
    """What opens here, if anything, and where do its words begin?"""
    word = words[at]
    start = at + 1
    if word in _LESS and at and words[at - 1] != "but":
        while start < len(words) and words[start] in STRONG | WEAK:
            start += 1
        return "weak", True, start
    if word in _BUT or (word == "but" and not _NEW_THOUGHT & set(words[at + 1 : at + 2])):
        while start < len(words) and words[start] in STRONG | WEAK | {"than", "not"}:
            start += 1
        # "other" and "apart" are ordinary words unless "than" or "from" follows.
        if word in {"other", "apart"} and start == at + 1:
            return None, False, at
        return "strong", True, start
    if word == "on" and _IDIOMS & set(words[start : start + 1]):
        return None, False, at
    if word in STRONG and not (at and words[at - 1] in _OF_A_VERB):
        return "strong", False, at + 1
    if word in WEAK:
        return "weak", False, at + 1
    return None, False, at


def _end(words: Sequence[str], start: int) -> int:
    for at in range(start, len(words)):
        word, before = words[at], words[at - 1]
        if word in ENDS or word in BREAKS or word in STRONG or word in _BUT or word == "but":
            return at
        if word in WEAK and not (word == "of" and before in EVERY):
            return at
        if at > start and before in MACHINES and word not in {"and", "&"} and not _qualified(words, at):
            return at
    return len(words)


def _add_bare(words: Sequence[str], taken: list[bool], phrases: list[Phrase]) -> None:
    """Find phrases that no preposition opens: "patch the web servers", "restart nginx everywhere"."""
    for at, word in enumerate(words):
        if taken[at] or (word not in MACHINES and word != "everywhere"):
            continue
        start = at
        while word != "everywhere" and start > 0 and at - start < 3:
            if taken[start - 1] or words[start - 1] in ENDS | BREAKS:
                break
            start -= 1
            if words[start] in EVERY or words[start] in ARTICLES:
                break
        end = at + 1
        if name := _qualified(words, end):
            end = next((each for each in range(name, len(words)) if taken[each]), len(words))
            end = min(end, _end(words, name))
        # With a name of their own these are machines that are known, or that nobody knows.
        said = [word for word in words[start:end] if word not in _LINKS | QUALIFIERS]
        clause = not name and _clause(words, end)
        phrases.append(Phrase(tuple(said), "strong" if name else "bare", clause=clause))
        taken[start:end] = [True] * (end - start)


def _clause(words: Sequence[str], end: int) -> bool:
    """Does a clause follow here, or just before, that tells which are meant: "that run debian"?"""
    return any(
        _RELATIVE & set(words[at : at + 1]) and BREAKS & set(words[at + 1 : at + 2]) for at in (end - 1, end)
    )


def _qualified(words: Sequence[str], at: int) -> int:
    """Where the name begins that qualifies machines just said; 0 when nothing does."""
    qualified = False
    while at < len(words) and words[at] in _LINKS | QUALIFIERS:
        qualified = qualified or words[at] in QUALIFIERS
        at += 1
    return at if qualified and at < len(words) and words[at] not in ENDS else 0
