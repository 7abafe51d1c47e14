"""Which examples a request is nearest to: BM25 over words and TF-IDF over character trigrams, no packages."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

K1: Final = 1.2
B: Final = 0.6
_ENDINGS: Final = ("ing", "ed", "es", "s")


def stem(word: str) -> str:
    """Cut the commonest English endings; crude, and the same for requests and examples."""
    for ending in _ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 3 and not (ending == "s" and rest.endswith("s")):
            if ending == "es" and not rest.endswith(("s", "x", "z", "ch", "sh")):
                continue
            # "running" and "stopped" double their last letter; "restarting" does not.
            doubled = ending in {"ing", "ed"} and rest[-1] == rest[-2] and rest[-1] not in "gls"
            return stem_end(rest[:-1] if doubled else rest)
    return stem_end(word)


def stem_end(word: str) -> str:
    """Drop a silent e, so that "update" and "updating" meet."""
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def trigrams(words: Sequence[str]) -> Counter[str]:
    """Count the character trigrams of each word, its edges marked."""
    marked = (f"^{word}$" for word in words)
    return Counter(word[i : i + 3] for word in marked for i in range(max(1, len(word) - 2)))


class _Weights:
    """How telling each term is, over all examples."""

    def __init__(self, documents: Iterable[Iterable[str]]) -> None:
        seen: Counter[str] = Counter()
        total = 0
        for document in documents:
            seen.update(set(document))
            total += 1
        self._of = {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in seen.items()}
        self.unknown = math.log(1 + (total + 0.5) / 0.5)

    def __getitem__(self, term: str) -> float:
        return self._of.get(term, self.unknown)

    def __contains__(self, term: str) -> bool:
        return term in self._of


class Index:
    """Labelled examples, each a list of words."""

    def __init__(self, examples: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._labels = list(examples)
        self._words = [
            (label, [stem(w) for w in words]) for label, rows in examples.items() for words in rows
        ]
        self._length = sum(len(words) for _, words in self._words) / max(1, len(self._words))
        self._of_word = _Weights(words for _, words in self._words)
        self._counts = [Counter(words) for _, words in self._words]
        self._grams = [(label, trigrams(words)) for label, words in self._words]
        self._of_gram = _Weights(grams for _, grams in self._grams)
        self._norms = [self._norm(grams) for _, grams in self._grams]

    def scores(self, words: Sequence[str]) -> dict[str, float]:
        """Give each label the likeness, 0 to 1, of its nearest examples."""
        stems = [stem(word) for word in words]
        grams = trigrams(stems)
        near: dict[str, list[float]] = {label: [] for label in self._labels}
        norm = self._norm(grams)
        weighed = {gram: n * self._of_gram[gram] ** 2 for gram, n in grams.items()}
        worth = {term: self._of_word[term] * (K1 + 1) for term in set(stems)}
        best = sum(worth.values()) or 1.0
        rows = zip(self._counts, self._grams, self._norms, strict=True)
        for counts, (label, others), length in rows:
            alike = min(1.0, self._bm25(worth, counts) / best * 1.3)
            dot = sum(weight * others[gram] for gram, weight in weighed.items() if gram in others)
            near[label].append(0.5 * alike + 0.5 * dot / (norm * length))
        # The best example counts most; two more that agree make it surer.
        return {label: _blend(sorted(values, reverse=True)) for label, values in near.items()}

    def _bm25(self, worth: Mapping[str, float], counts: Counter[str]) -> float:
        shared = [term for term in worth if term in counts]
        if not shared:
            return 0.0
        shrink = K1 * (1 - B + B * counts.total() / self._length)
        return sum(worth[term] * counts[term] / (counts[term] + shrink) for term in shared)

    def _norm(self, grams: Counter[str]) -> float:
        return math.sqrt(sum((n * self._of_gram[gram]) ** 2 for gram, n in grams.items())) or 1.0


def _blend(values: Sequence[float]) -> float:
    if not values:
        return 0.0
    second = sum(values[1:3]) / max(1, len(values[1:3]))
    return 0.8 * values[0] + 0.2 * second
