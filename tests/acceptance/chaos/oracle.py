"""Judges a round: what the rows say against what was counted on the targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from automation.models import (
    Attempt,
    Event,
    JobRun,
    OutputChunk,
    ResultState,
    RunTarget,
    StepResult,
    TargetLock,
)
from automation.models.results import OPEN_ATTEMPTS, UNFINISHED
from automation.models.runs import FINAL
from tests.acceptance.chaos.faults import Fault
from tests.acceptance.chaos.workload import Submission

WITHOUT_EFFECT = (ResultState.SKIPPED, ResultState.BLOCKED, ResultState.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Effect:
    """One line that a body appended on its target."""

    label: str
    step: str
    target: str
    attempt: str
    body: str
    edge: str  # begin or end


@dataclass(slots=True)
class Verdict:
    """What is wrong, by kind, and what is unknown with its reason."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    falsely_green: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def violations(self) -> int:
        kinds = (self.lost, self.twice, self.falsely_green, self.stuck, self.unexplained, self.other)
        return sum(len(kind) for kind in kinds)


def read_effects(target: str, text: str) -> list[Effect]:
    """The lines of one target's file; ValueError for one that no body of ours writes."""
    effects = []
    for line in text.splitlines():
        label, step, me, attempt, body, edge = line.split(" ")
        if me != target:
            raise ValueError(f"{target} has a line of {me}")
        effects.append(Effect(label, step, me, attempt, body, edge))
    return effects


def judge(submissions: list[Submission], effects: list[Effect], faults: list[Fault]) -> Verdict:
    """All checks; the rows must not change any more."""
    verdict = Verdict()
    by_run = {wanted.run: wanted for wanted in submissions if wanted.run is not None}
    _judge_runs(verdict, submissions, by_run)
    _judge_twice(verdict, effects)
    _judge_attempts(verdict, effects)
    _judge_order(verdict, effects)
    counted: dict[tuple[str, str, str], list[Effect]] = defaultdict(list)
    for effect in effects:
        if effect.body == "run":
            counted[(effect.label, effect.step, effect.target)].append(effect)
    for result in StepResult.objects.select_related("run_target"):
        wanted = by_run.get(result.run_id)
        if wanted is not None and wanted.plans[result.step].changes:
            mine = counted[(wanted.label, result.step, result.run_target.name)]
            _judge_result(verdict, wanted, result, mine)
    _judge_unknown(verdict, by_run, faults)
    _judge_story(verdict)
    _judge_output(verdict, by_run)
    _judge_locks(verdict)
    return verdict


def _judge_runs(verdict: Verdict, submissions: list[Submission], by_run: dict[int, Submission]) -> None:
    for wanted in submissions:
        if wanted.run is None:
            verdict.lost.append(f"{wanted.label}: never accepted after {wanted.tries} tries")
    for run in JobRun.objects.all():
        if run.pk not in by_run:
            verdict.twice.append(f"run {run.pk}: one submission was accepted as two runs")
        if run.status not in FINAL:
            verdict.stuck.append(f"run {run.pk} is {run.status}")
        if run.status == "errored":
            verdict.other.append(f"run {run.pk} errored: {run.stop_code}")
        if run.status in FINAL and run.in_flight:
            verdict.other.append(f"run {run.pk}: {run.in_flight} still counted in flight")
    if missing := by_run.keys() - set(JobRun.objects.values_list("pk", flat=True)):
        verdict.lost.append(f"accepted runs are gone: {sorted(missing)}")
    for result in StepResult.objects.filter(state__in=UNFINISHED).select_related("run_target"):
        verdict.lost.append(f"run {result.run_id} {result.run_target.name} {result.step}: {result.state}")


def _judge_twice(verdict: Verdict, effects: Iterable[Effect]) -> None:
    seen: dict[tuple[str, ...], Effect] = {}
    for effect in effects:
        key = (effect.label, effect.step, effect.target, effect.body, effect.edge)
        if key in seen:
            verdict.twice.append(f"{' '.join(key)}: attempts {seen[key].attempt} and {effect.attempt}")
        seen[key] = effect


def _judge_attempts(verdict: Verdict, effects: Iterable[Effect]) -> None:
    known = {attempt.pk.hex: attempt for attempt in Attempt.objects.all()}
    for effect in effects:
        attempt = known.get(effect.attempt)
        if attempt is None:
            verdict.other.append(f"{effect}: of an attempt that no row knows")
        elif attempt.state == "fenced":
            verdict.other.append(f"{effect}: the attempt counts as fenced, and yet it ran")
    for attempt in known.values():
        if attempt.state in OPEN_ATTEMPTS:
            verdict.stuck.append(f"attempt {attempt.pk.hex} is {attempt.state}")


def _judge_order(verdict: Verdict, effects: Iterable[Effect]) -> None:
    last: dict[tuple[str, str], Effect] = {}
    for effect in effects:
        if effect.body != "run":
            continue
        before = last.get((effect.label, effect.target))
        if before is not None and before.step > effect.step:
            verdict.other.append(f"{effect}: began after {before.step}")
        last[(effect.label, effect.target)] = effect


def _judge_result(verdict: Verdict, wanted: Submission, result: StepResult, mine: list[Effect]) -> None:
    name = f"{wanted.label} (run {result.run_id}) {result.run_target.name} {result.step}"
    edges = {effect.edge for effect in mine}
    status = wanted.plans[result.step].status
    if result.state == ResultState.SUCCEEDED and (edges != {"begin", "end"} or status):
        verdict.falsely_green.append(f"{name}: succeeded with {sorted(edges)}, status {status} was planned")
    if result.code == "exit.nonzero" and (edges != {"begin", "end"} or result.exit_code != status):
        verdict.other.append(f"{name}: failed with {result.exit_code} and {sorted(edges)}")
    if result.state in WITHOUT_EFFECT and mine:
        verdict.other.append(f"{name}: {result.state} ({result.code}), and yet it ran")
    if result.undone and not result.attempts.filter(body="undo", state="ended").exists():
        verdict.falsely_green.append(f"{name}: undone without an undo that ended")


def _judge_unknown(verdict: Verdict, by_run: dict[int, Submission], faults: list[Fault]) -> None:
    """Unknown is only right where the target itself was lost in the middle of it."""
    crashes = [fault for fault in faults if fault.kind == "crash"]
    tried = Attempt.objects.filter(state="unknown").select_related("result__run_target")
    for attempt in tried:
        result = attempt.result
        target = result.run_target.name
        label = by_run[result.run_id].label if result.run_id in by_run else "?"
        what = f"{label} {target} {result.step} {attempt.body}: {attempt.code}: {attempt.message}"
        causes = [fault.number for fault in crashes if fault.subject == target and _during(attempt, fault)]
        if causes and attempt.code and attempt.message:
            verdict.unknown.append(f"{what} (fault {', '.join(map(str, causes))}: crash)")
        else:
            verdict.unexplained.append(what)
    for result in StepResult.objects.filter(state=ResultState.UNKNOWN):
        if not result.attempts.filter(state="unknown").exists():
            verdict.unexplained.append(f"result {result.pk} is unknown, none of its attempts is")


def _during(attempt: Attempt, fault: Fault) -> bool:
    if attempt.intent_at is None or attempt.ended_at is None:
        return False
    return attempt.intent_at.timestamp() <= fault.healed and fault.at <= attempt.ended_at.timestamp()


def _judge_story(verdict: Verdict) -> None:
    for run in JobRun.objects.all():
        numbers = list(Event.objects.filter(run=run).order_by("seq").values_list("seq", flat=True))
        if numbers != list(range(1, run.last_seq + 1)):
            verdict.other.append(f"run {run.pk}: its story has gaps")


def _judge_output(verdict: Verdict, by_run: dict[int, Submission]) -> None:
    """What is stored of a numbered stream has no gap and no repeat, and is whole where the body ended."""
    for attempt in Attempt.objects.select_related("result__run_target"):
        wanted = by_run.get(attempt.result.run_id)
        if wanted is None:
            continue
        name = f"{wanted.label} {attempt.result.run_target.name} {attempt.result.step} {attempt.body}"
        text, reach = b"", 0
        for chunk in OutputChunk.objects.filter(attempt=attempt, stream="stdout").order_by("offset"):
            if chunk.offset != reach:
                verdict.other.append(f"{name}: output has a gap or a repeat at {reach}")
            text, reach = text + bytes(chunk.data), chunk.end
        count = 2 if attempt.body == "verify" else wanted.plans[attempt.result.step].lines
        whole = b"".join(b"%d\n" % number for number in range(1, count + 1))
        if not whole.startswith(text):
            verdict.other.append(f"{name}: output is not what was printed: {text[-80:]!r}")
        ended = attempt.state == "ended" and attempt.how == "ended"
        if ended and text != whole:
            verdict.other.append(f"{name}: {len(text)} of {len(whole)} bytes of output are stored")
        if len(text) != attempt.stdout_stored:
            verdict.other.append(f"{name}: {len(text)} bytes are stored, {attempt.stdout_stored} counted")


def _judge_locks(verdict: Verdict) -> None:
    for lock in TargetLock.objects.select_related("run_target"):
        unknown = Attempt.objects.filter(result__run_target=lock.run_target, state="unknown").exists()
        if not unknown or lock.run_target.state != RunTarget.State.DONE:
            verdict.other.append(f"run {lock.run_id} still locks {lock.run_target.name}")
