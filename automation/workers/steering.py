"""What is next for each target of one shard, and the job that does it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from django.utils import timezone

from automation.forecast import NOT_RUN
from automation.libraries.envelope import Order
from automation.models import Attempt, AttemptState, JobRun, ResultState
from automation.ways import places
from automation.workers import gate
from automation.workers.endings import Endings
from automation.workers.errand import condition_holds, payload_of
from automation.workers.logins import LOGIN_ERRORS, login_code
from automation.workers.output import OutputStore
from automation.workers.recorder import Recorder
from automation.workers.reports import start_recovery
from automation.workers.sequence import Begin, Finish, Skip
from automation.workers.settle import Verdict
from automation.workers.supplies import Supplies
from automation.workers.transports import Address, Errand
from automation.workers.wire import Wire
from automation.workers.work import Work, begin_result
from credentials.models import Credential

OUTPUT_LIMIT = 1024**3
REMARKS = 64 * 1024
"""Bytes that a download may print beside the file."""
CANCEL_SECONDS = 60.0


class Steering:
    """Runs inside the tick's transaction; jobs are handed out only after its commit."""

    def __init__(self, recorder: Recorder, endings: Endings, wire: Wire, *, supplies: Supplies) -> None:
        self._recorder = recorder
        self._endings = endings
        self._wire = wire
        self._installation = supplies.installation
        self._logins = supplies.logins
        self._files = supplies.files
        self._jobs: list[Callable[[], None]] = []
        self._entering: list[tuple[Work, Begin]] = []
        self.waiting = False
        self.resting = False

    def look_up(self, works: list[Work]) -> None:
        """Read the secrets that other servers keep for these targets. Called outside of any transaction."""
        if Credential.objects.filter(kind=Credential.Kind.VAULT).exists():
            targets = gate.targets_now(
                {place["target"] for work in works if not work.done for place in places(work.leaf)}
            )
            self._logins.look_up(target.credential for target in targets.values() if target.credential)

    def take_jobs(self) -> list[Callable[[], None]]:
        """The jobs decided on since the last call; run them after the commit."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def move_on(self, run: JobRun, works: list[Work]) -> None:
        """Give every target that can go on its next job, in order, no more at once than the run's width."""
        if run.cancel_requested:
            self._cancel(works)
        ready = [work for work in works if not work.waits]
        active = sum(1 for work in works if not work.done and (work.busy or work.attempt or work.changing))
        room = max(0, run.max_parallel - active)
        fresh = [work for work in ready if not (work.attempt or work.changing)]
        chosen = fresh if run.stopped else fresh[:room]
        going = [work for work in ready if work.attempt or work.changing] + chosen
        drift = gate.Drift(run, [work for work in going if work.attempt is None or work.address is None])
        self.waiting = False
        for work in going:
            self._go_on(run, work, drift)
        while self._entering:
            self._enter(run, drift)
        self.resting = run.is_resting

    def _cancel(self, works: list[Work]) -> None:
        for work in works:
            if work.attempt is not None and work.attempt.part not in ("undo", "verify_undo"):
                work.control.cancel()
                if work.recovering:
                    work.give_up_at = min(work.give_up_at, time.monotonic() + CANCEL_SECONDS)

    def _go_on(self, run: JobRun, work: Work, drift: gate.Drift) -> None:
        while not work.waits:
            if work.attempt is not None:
                self._resume(run, work, drift)
                continue
            match work.next():
                case Finish(good=good):
                    self._endings.finish(run, work, good=good)
                case Skip(step_indexes=indexes, code=code):
                    self._skip(run, work, indexes, code)
                case Begin() as begin:
                    if not self._begin(run, work, begin, drift):
                        return

    def _begin(self, run: JobRun, work: Work, begin: Begin, drift: gate.Drift) -> bool:
        """False when the target stands at the entrance, where all that came in this tick are looked at."""
        if run.is_resting and not work.changing:
            return False
        work.step_index = begin.step_index
        if begin.body in ("run", "check"):
            if stop := self._stop_code(run, work):
                self._endings.skip_rest(run, work, stop)
                return True
            if verdict := self._refusal(work, drift) or condition_holds(work):
                self._endings.close_unsent(run, work, verdict)
                return True
        if work.sequence.changes(begin.step_index, begin.body) and not work.changing:
            self._entering.append((work, begin))
            return False
        self._claim(work, begin)
        return True

    def _skip(self, run: JobRun, work: Work, step_indexes: tuple[int, ...], code: str) -> None:
        work.step_index = step_indexes[0]
        # A dry run says "not needed" rather than "not known" where it can.
        if code == NOT_RUN and (verdict := condition_holds(work)):
            self._endings.close_unsent(run, work, verdict)
        else:
            self._endings.skip(work, step_indexes, code)

    def _stop_code(self, run: JobRun, work: Work) -> str:
        if run.cancel_requested:
            return "run.cancelled"
        if (run.stopped or run.bad > run.max_failures) and not work.changing:
            return run.stop_code or "rollout.budget"
        return ""

    def _refusal(self, work: Work, drift: gate.Drift) -> Verdict | None:
        if blocked := self._lacking(work):
            return blocked
        block = drift.blocks(work)
        if block is not None:
            return Verdict(ResultState.BLOCKED, block.code, block.message)
        try:
            self._locate(work, drift)
        except LOGIN_ERRORS as error:
            return Verdict(ResultState.BLOCKED, login_code(error), str(error))
        return None

    def _lacking(self, work: Work) -> Verdict | None:
        """What the plan wants to send with the step at hand, and the portal no longer has."""
        if work.secrets.problem:
            return Verdict(ResultState.BLOCKED, "secret.missing", work.secrets.problem)
        if problem := self._files.problems.get(work.step_index):
            return Verdict(ResultState.BLOCKED, "file.missing", problem)
        return None

    def _locate(self, work: Work, drift: gate.Drift) -> None:
        """Set where and as whom the target is reached."""
        credential = drift.targets[work.leaf["target"]].credential
        if credential is None:
            raise ValueError(f"{work.row} has no credential; drift should have said so")
        login = self._logins.of(credential, work.leaf["login"], run=work.row.run_id)
        endpoint = drift.endpoint(work, self._logins)
        work.address, work.masker = Address(work.position, endpoint, login.credentials), login.masker

    def _enter(self, run: JobRun, drift: gate.Drift) -> None:
        entering, self._entering = self._entering, []
        if run.is_resting:
            return  # paused since they came to the entrance
        entrance = gate.Entrance(run, [work for work, _ in entering])
        for work, begin in entering:
            answer = entrance.admit(work)
            if isinstance(answer, gate.Block):
                refused = Verdict(ResultState.BLOCKED, answer.code, answer.message)
                self._endings.close_unsent(run, work, refused)
            elif answer == "wait":
                work.pause(0.3)
                self.waiting = True
            elif answer == "stopped":
                self._endings.skip_rest(run, work, run.stop_code or "rollout.budget")
            else:
                self._claim(work, begin)
        entrance.store()
        for work, _ in entering:
            self._go_on(run, work, drift)

    def _claim(self, work: Work, begin: Begin) -> None:
        key = (begin.step_index, begin.body)
        work.tries[key] = work.tries.get(key, 0) + 1
        envelope = work.sequence.changes(begin.step_index, begin.body)
        work.attempt = Attempt(
            id=uuid.uuid4(),
            result=work.result(),
            body=begin.body,
            after_undo=begin.after_undo,
            number=work.tries[key],
            mode=Attempt.Mode.ENVELOPE if envelope else Attempt.Mode.PLAIN,
            become=work.sequence.becomes(begin.step_index),
        )
        work.output = None
        self._recorder.new(work.attempt)
        result = work.result()
        if result.state == ResultState.PENDING:
            begin_result(result)
            self._recorder.result(work, result, body=begin.body)
        elif work.tries[key] == 1:
            self._recorder.fact(work, body=begin.body, state="running")

    def _resume(self, run: JobRun, work: Work, drift: gate.Drift) -> None:
        """Hand out the job that the open attempt needs in its state."""
        attempt = work.tried
        if work.address is None:
            if not drift.way_is_whole(work):
                text = "The target, a bastion or a credential was deleted while the step was under way."
                self._nobody_to_ask(run, work, "credential.missing", text)
                return
            try:
                self._locate(work, drift)
            except LOGIN_ERRORS as error:
                self._nobody_to_ask(run, work, login_code(error), str(error))
                return
        if work.output is None:
            work.output = OutputStore(attempt, work.masker)
        if attempt.state == AttemptState.CLAIMED and (blocked := self._lacking(work)):
            self._endings.give_up(run, work, blocked)
        elif attempt.state == AttemptState.CLAIMED:
            self._connect_or_send(work, attempt)
        else:
            self._pick_up(run, work, attempt)

    def _nobody_to_ask(self, run: JobRun, work: Work, code: str, text: str) -> None:
        """Nobody can log in any more while an attempt is open."""
        attempt = work.tried
        if attempt.state == AttemptState.CLAIMED or attempt.mode == Attempt.Mode.PLAIN:
            self._endings.give_up(run, work, Verdict(ResultState.BLOCKED, code, text))
        else:
            self._endings.unknown(run, work, text)

    def _connect_or_send(self, work: Work, attempt: Attempt) -> None:
        address = work.where
        if attempt.mode == Attempt.Mode.PLAIN:
            self._intend(work, attempt)
            reading = self._errand(work, attempt)
            self._out(work, lambda: self._wire.plain(reading))
            return
        spool, become = work.spools.get(attempt.become), attempt.become
        if not work.connected or spool is None:
            probe = spool is None
            self._out(
                work,
                lambda: self._wire.connect(
                    address, probe=probe, become=become, installation=self._installation
                ),
            )
            return
        attempt.spool, attempt.spool_id = spool.path, spool.spool_id
        if not spool.path:
            attempt.mode = Attempt.Mode.DIRECT
        self._intend(work, attempt)
        errand = self._errand(work, attempt, forget=work.take_forgettable())
        self._out(work, lambda: self._wire.run(errand))

    def _intend(self, work: Work, attempt: Attempt) -> None:
        """The durable intent: this row is committed before anything is sent."""
        attempt.state, attempt.intent_at = AttemptState.DISPATCHING, timezone.now()
        attempt.host_key = gate.lock_keys(work)[0].removeprefix("hostkey:")
        self._recorder.attempt(attempt)

    def _pick_up(self, run: JobRun, work: Work, attempt: Attempt) -> None:
        """An attempt that a lost connection, or a lost worker, left open."""
        if attempt.mode == Attempt.Mode.PLAIN:
            self._endings.close_attempt(work, AttemptState.ENDED, "connection.lost")
            return
        if attempt.mode == Attempt.Mode.DIRECT:
            self._endings.unknown(
                run, work, "No guard could be kept on the target, so nobody can tell how it ended."
            )
            return
        start_recovery(work)
        # Output held back for masking, or in the moving tail, comes again: start where storage ends.
        work.output = OutputStore(attempt, work.masker)
        errand, age, offsets = self._errand(work, attempt), attempt.intent_age, work.offsets()
        self._out(work, lambda: self._wire.reclaim(errand, intent_age=age, offsets=offsets))

    def _errand(self, work: Work, attempt: Attempt, *, forget: tuple[str, ...] = ()) -> Errand:
        spool = work.spools.get(attempt.become)
        runs = attempt.part == Attempt.Body.RUN
        file = self._files.of(work.step_index) if runs else None
        windows = "winrm" in work.leaf
        landing = self._files.landing(work.step_index, attempt.pk.hex, windows=windows) if runs else None
        order = Order(
            attempt=attempt.pk.hex,
            installation=self._installation,
            payload=payload_of(work, attempt),
            timeout=float(work.sequence.step(work.step_index).timeout),
            become=attempt.become,
            spool=attempt.spool or None,
            spool_id=attempt.spool_id,
            output_limit=landing.limit + REMARKS if landing else OUTPUT_LIMIT,
            forget=forget,
            guard="perl" if spool and spool.guard == "perl" else "sh",
            detach="scope" if spool and spool.detach == "scope" else "session",
        )
        return Errand(work.where, order, work.control, file, landing)

    def _out(self, work: Work, job: Callable[[], None]) -> None:
        work.busy = True
        self._jobs.append(job)
