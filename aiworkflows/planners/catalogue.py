"""The planner that works offline: it picks a runbook and fills its slots, and asks when it is not sure."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from aiworkflows.planners.chances import chance
from aiworkflows.planners.contract import Alternative, Answers, InventoryView, Learned, Plan, Question
from aiworkflows.planners.naming import Names
from aiworkflows.planners.quotes import LOG_FILE, quoted
from aiworkflows.planners.reading import read
from aiworkflows.planners.refusals import Refusals
from aiworkflows.planners.retrieval import Index, stem
from aiworkflows.planners.runbooks import Runbook, load_runbooks
from aiworkflows.planners.things import Dictionary, unlisted
from aiworkflows.planners.times import Moment, moment_of
from aiworkflows.planners.understanding import Request, Understanding

# How surely one word that only one runbook uses points to it.
CUE: Final = 0.7
SHOWN: Final = 3
# Words so alike count as the same request; so much, at most, rises a runbook that was chosen for them.
ALIKE: Final = 0.6
LEARNED: Final = 0.5
# How surely several words in a row point to a runbook that lists them so.
PHRASE_CUE: Final = 0.75
# Chances that the first runbook is the right one. Below HOPELESS nothing is offered as the plan; below SURE a
# person chooses among the nearest.
HOPELESS: Final = 0.42
SURE: Final = 0.85
_SHARE: Final = re.compile(
    r"\b(half|a third|a quarter|most|several|a few|a couple|random|\d+ ?(%|percent)|whichever|either"
    r"|(some|one|two|three|any) of (the|our|my|these|those)|only (one|two|three|some)|(any|just) one"
    r"|(?<=on )an? (\w+ ){0,2}(server|machine|host|node|box)"
    r"|other (\w+ ){0,2}(servers|machines|hosts|nodes|boxes)"
    r"|some (\w+ )?(servers|machines|hosts|nodes|boxes|targets)"
    r"|(first|second|third|last|oldest|newest|busiest|idlest|slowest|(least|most) \w+)"
    r" (\w+ )?(server|machine|host|node|box|target|member)s?)\b"
)
# Of targets that are read, any are all; "reboot any build machine" means one.
_ANY: Final = re.compile(r"\bany (\w+ ){0,2}(server|machine|host|node|box|target)\b")
# What is offered for the name of software and nothing else, where it has a service and where it has none.
_OF_A_SERVICE: Final = ("check-service", "restart-service", "install-package")
_OF_A_PACKAGE: Final = ("install-package", "update-package", "remove-package")
OFFERED: Final = 0.2


class AnswerError(ValueError):
    """An answer that fits no question of this plan."""


class CataloguePlanner:
    """Plans with runbooks only: light retrieval, slots filled from the inventory and a dictionary.

    Deterministic: the same request, inventory and answers give the same plan.
    """

    name = "catalogue"
    model: str | None = None

    def __init__(
        self,
        runbooks: Mapping[str, Runbook] | None = None,
        *,
        things: Dictionary | None = None,
        refusals: Refusals | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._runbooks = load_runbooks() if runbooks is None else runbooks
        self._things = Dictionary.load() if things is None else things
        self._refusals = Refusals.load() if refusals is None else refusals
        self._used = Counter(
            verb for runbook in self._runbooks.values() for verb in {stem(word) for word in runbook.verbs}
        )
        self._understanding = Understanding(self._runbooks, self._things)
        self._index = Index(self._understanding.examples)

    def plan(
        self,
        request: str,
        inventory: InventoryView,
        answers: Answers | None = None,
        *,
        learned: Sequence[Learned] = (),
    ) -> Plan:
        """Make a plan of a sentence. Raises AnswerError for an answer that no question asked for.

        `learned` raises the runbooks that people chose for alike requests; it gives no other answer.
        """
        given = answers or Answers()
        names = Names(inventory)
        moment = moment_of(request, self._clock())
        text = self._understanding.written_out(request, names=names.words)
        seen = self._understanding.see(read(moment.cut_from(text) if moment else text), names)
        file = LOG_FILE.search(request)
        seen = replace(seen, quoted=quoted(request), log_file=file.group(0) if file else None)
        refused = self._refusals.reason(request, of_software=bool(seen.things))
        if refused:
            return Plan("refused", reason=refused)
        ranking = self._rank(seen, learned)
        chosen, confidence = self._choose(ranking, given)
        alternatives = tuple(self._alternative(name, score) for name, score in ranking[:SHOWN])
        if chosen is None:
            # What names known software and where is meant for targets, however it is said.
            hopeless = confidence < HOPELESS and not (seen.things and seen.phrases)
            return replace(
                self._unsure(confidence, alternatives, hopeless=hopeless), words=" ".join(seen.told)
            )
        targets, where = self._where(request, seen, names, given, changes=chosen.changes)
        if given.runbook is None and chosen.on_windows and targets in inventory.windows:
            chosen = self._runbooks[chosen.on_windows]
        parameters, questions = self._parameters(chosen, seen, given)
        when = self._when(moment, given)
        asked = (*where, *questions, *when)
        return Plan(
            "needs_answer" if asked else "ready",
            runbook=chosen.name,
            definition=chosen.definition,
            targets=targets,
            parameters=parameters,
            confidence=confidence,
            alternatives=alternatives,
            questions=asked,
            time=moment.as_dict() if moment else None,
            words=" ".join(seen.told),
        )

    # -- choosing ----------------------------------------------------------------------------------

    def _rank(self, seen: Request, learned: Sequence[Learned]) -> list[tuple[str, float]]:
        scores = self._index.scores(seen.words)
        raised = self._raised(seen, learned)
        if seen.things and not seen.words:
            likely = _OF_A_SERVICE if any(thing.service for thing in seen.things) else _OF_A_PACKAGE
            raised |= {name: OFFERED - at / 100 for at, name in enumerate(likely) if name not in raised}
        ranked = [
            (name, min(1.0, self._weighed(name, score, seen) + raised.get(name, 0.0)))
            for name, score in scores.items()
        ]
        return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))

    @staticmethod
    def _raised(seen: Request, learned: Sequence[Learned]) -> dict[str, float]:
        """How much each runbook rises because it was chosen for words like these before."""
        said = set(_stems(seen.told).split())
        raised: dict[str, float] = {}
        for each in learned:
            words = set(_stems(each.words.split()).split())
            alike = len(words & said) / len(words | said) if words and said else 0.0
            if alike >= ALIKE:
                rise = LEARNED * alike * (1 - 0.5**each.times)
                raised[each.runbook] = max(raised.get(each.runbook, 0.0), rise)
        return raised

    def _weighed(self, name: str, score: float, seen: Request) -> float:
        runbook = self._runbooks[name]
        words = {stem(word) for word in seen.words}
        said = f" {_stems(seen.told)} "
        # A word that fewer runbooks use says more; several together make it nearly sure.
        doubt = 1.0
        for verb in runbook.verbs:
            if " " in verb:
                doubt *= 1.0 - PHRASE_CUE * (f" {_stems(verb.split())} " in said)
        for verb in {stem(verb) for verb in runbook.verbs} & words:
            doubt *= 1.0 - CUE / self._used[verb]
        weight = 1.0
        if runbook.needs and not seen.things and not seen.unlisted:
            weight *= 0.6
        if any(thing.said not in runbook.verbs for thing in seen.things) and not runbook.slots:
            weight *= 0.4
        # Not by their stems: "package" speaks against "all packages", which says it of many.
        if any(f" {each} " in f" {' '.join(seen.told)} " for each in runbook.unless):
            weight *= 0.3
        # One unlisted word may be the software that a runbook needs; more are things it knows nothing of.
        spare = 1 if runbook.slots and not seen.things else 0
        weight *= 0.7 ** max(0, len(seen.unlisted) - spare)
        return weight * (0.5 * score + 0.5 * (1.0 - doubt))

    def _choose(self, ranking: Sequence[tuple[str, float]], given: Answers) -> tuple[Runbook | None, float]:
        best = ranking[0][1] if ranking else 0.0
        second = ranking[1][1] if len(ranking) > 1 else 0.0
        # A runner-up as good as the winner means that the request did not tell them apart.
        margin = (best - second) / best if best else 0.0
        score = min(1.0, best * (0.7 + 0.3 * min(1.0, margin / 0.3)))
        confidence = round(chance(score), 3)
        if given.runbook is not None:
            if given.runbook not in self._runbooks:
                raise AnswerError(f"There is no runbook {given.runbook!r}")
            return self._runbooks[given.runbook], confidence
        if confidence < SURE:
            return None, confidence
        return self._runbooks[ranking[0][0]], confidence

    def _alternative(self, name: str, score: float) -> Alternative:
        runbook = self._runbooks[name]
        return Alternative(name, runbook.title, runbook.summary, min(1.0, score))

    @staticmethod
    def _unsure(confidence: float, alternatives: tuple[Alternative, ...], *, hopeless: bool) -> Plan:
        nearest = ", ".join(each.title.lower() for each in alternatives)
        reason = f"No runbook clearly does this. Nearest: {nearest}."
        if hopeless:
            return Plan("refused", confidence=confidence, alternatives=alternatives, reason=reason)
        question = Question("runbook", "What shall be done?", tuple(each.runbook for each in alternatives))
        return Plan(
            "needs_answer",
            confidence=confidence,
            alternatives=alternatives,
            questions=(question,),
            reason=reason,
        )

    # -- slots -------------------------------------------------------------------------------------

    def _parameters(
        self, runbook: Runbook, seen: Request, given: Answers
    ) -> tuple[dict[str, Any], list[Question]]:
        strange = sorted(set(given.parameters) - set(runbook.parameters) - {"when"})
        if strange:
            raise AnswerError(f"{runbook.title} has no parameter {strange[0]!r}")
        values: dict[str, Any] = {}
        questions: list[Question] = []
        for slot, spec in runbook.slots.items():
            if slot in given.parameters:
                found: Any = given.parameters[slot]
                if found == "" and not runbook.parameters[slot].get("required", True):
                    continue
                wrong = Question(slot, f"{found!r} is not a valid {slot}. {spec.get('ask', '')}".strip())
                question = None if runbook.accepts(slot, found) else wrong
            elif spec["kind"] == "service_of":
                found, question = self._service_of(values.get(spec["of"])), None
            elif spec["kind"] == "quoted":
                found = seen.quoted
                question = None if found else Question(slot, spec["ask"])
            elif spec["kind"] == "log":
                found, question = self._log(spec, slot, seen)
            else:
                found, question = self._software(spec, slot, seen)
            if question:
                questions.append(question)
            elif found is not None:
                values[slot] = found
        values |= {name: v for name, v in given.parameters.items() if name not in values and name != "when"}
        return values, questions

    def _software(
        self, spec: Mapping[str, str], slot: str, seen: Request
    ) -> tuple[str | None, Question | None]:
        things = list(seen.things)
        if not things:
            things = [thing for thing in map(unlisted, seen.unlisted) if thing]
        kind = spec["kind"]
        named = [thing.package if kind == "package" or not thing.known else thing.service for thing in things]
        choices = tuple(dict.fromkeys(name for name in named if name))
        # A word that no dictionary lists may be anything ("patch day"): only its place makes it a name.
        if len(things) == 1 and choices and (things[0].known or things[0].said in seen.named):
            return choices[0], None
        text = spec["ask"]
        if things and not choices:
            text = f"{things[0].said} has no service of its own. {text}"
        return None, Question(slot, text, choices)

    def _log(self, spec: Mapping[str, str], slot: str, seen: Request) -> tuple[str | None, Question | None]:
        """A file below /var/log or a service's journal; the whole journal where neither is said."""
        if seen.log_file:
            return seen.log_file, None
        if not seen.things and not seen.named:
            return None, None
        return self._software({**spec, "kind": "service"}, slot, seen)

    def _service_of(self, package: object) -> str | None:
        found = self._things.find([str(package)]) if package else []
        return found[0].service if found else None

    @staticmethod
    def _where(
        request: str, seen: Request, names: Names, given: Answers, *, changes: bool
    ) -> tuple[str, list[Question]]:
        if given.targets:
            return given.targets, []
        resolved = names.resolve(seen.phrases)
        share = _SHARE.search(request.lower()) or (_ANY.search(request.lower()) if changes else None)
        if share and resolved.query:
            text = (
                f'"{share.group(0)}": a sentence cannot choose some of the targets. All of these, in batches?'
            )
            return "", [Question("targets", text, (resolved.query,))]
        doubt = (
            names.narrowed(seen.phrases, resolved.query)
            or names.elsewhere(seen.unknown_places, resolved.query)
            or names.doubt(resolved.query, seen.left, [thing.said for thing in seen.things])
        )
        if doubt:
            return "", [doubt]
        return resolved.query, [resolved.question] if resolved.question else []

    def _when(self, moment: Moment | None, given: Answers) -> list[Question]:
        if moment is None or given.parameters.get("when") == "now":
            return []
        text = f"{moment.told(self._clock())} A run does not start by itself. Start it once approved?"
        return [Question("when", text, ("now",))]


def _stems(words: Iterable[str]) -> str:
    return " ".join(stem(word) for word in words)
