"""One target in the hands of one shard: its rows, and what is under way."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from automation.libraries.envelope import Control
from automation.models import Attempt, AttemptState, ResultState, RunTarget, Spool, StepResult
from automation.models.results import OPEN_ATTEMPTS
from automation.models.run_secrets import OpenedSecrets
from automation.plan import sha256
from automation.workers.output import OutputStore
from automation.workers.sequence import Action, Sequence
from automation.workers.transports import Address
from credentials.masking import Masker

Tried = tuple[int, str]
FORGET_AT_ONCE = 20


@dataclass(slots=True, eq=False)
class Work:
    """The state in memory is a reading of the rows; it can be dropped at any moment."""

    row: RunTarget
    leaf: dict[str, Any]
    intact: bool
    sequence: Sequence
    results: list[StepResult]
    parameters: dict[str, Any] = field(default_factory=dict)
    secrets: OpenedSecrets = field(default_factory=OpenedSecrets)
    ended: dict[Tried, Attempt] = field(default_factory=dict)
    tries: dict[Tried, int] = field(default_factory=dict)
    superseded: dict[int, int] = field(default_factory=dict)
    spools: dict[bool, Spool] = field(default_factory=dict)
    forgettable: list[Attempt] = field(default_factory=list)
    forgetting: list[uuid.UUID] = field(default_factory=list)
    address: Address | None = None
    attempt: Attempt | None = None
    step_index: int = 0
    control: Control = field(default_factory=Control)
    output: OutputStore | None = None
    masker: Masker = field(default_factory=lambda: Masker(()))
    busy: bool = False
    connected: bool = False
    unknown: bool = False
    recovering: bool = False
    losses: int = 0
    retry_at: float = 0.0
    give_up_at: float = 0.0

    @property
    def position(self) -> int:
        return self.row.position

    @property
    def done(self) -> bool:
        return self.row.state == RunTarget.State.DONE

    @property
    def changing(self) -> bool:
        return self.row.state == RunTarget.State.CHANGING

    @property
    def waits(self) -> bool:
        """Nothing to do for this target right now."""
        return self.done or self.busy or time.monotonic() < self.retry_at

    @property
    def tries_again(self) -> bool:
        """A try of its step has ended, and another is due now or later."""
        return not self.done and self.attempt is None and self.result().state == ResultState.RUNNING

    def next(self) -> Action:
        return self.sequence.next(self.results, self.ended)

    def result(self) -> StepResult:
        return self.results[self.step_index]

    def outputs(self) -> dict[str, str]:
        """Outputs of all steps so far on this target; the latest wins."""
        merged: dict[str, str] = {}
        for result in self.results:
            merged.update(result.outputs)
        return merged

    def masked(self, outputs: dict[str, str]) -> dict[str, str]:
        """Outputs without the secrets that a script wrote into them; none where those are no longer known."""
        if self.secrets.problem:
            return {}
        return {name: _masked(self.masker.fresh(), text) for name, text in outputs.items()}

    @property
    def tried(self) -> Attempt:
        """The open attempt, where there must be one."""
        if self.attempt is None:
            raise RuntimeError(f"no attempt is open for {self.row}")
        return self.attempt

    @property
    def where(self) -> Address:
        """The target's place and login, where it must have been found before."""
        if self.address is None:
            raise RuntimeError(f"no address is known for {self.row}")
        return self.address

    def offsets(self) -> tuple[int, int]:
        """How many bytes of the target's stdout and stderr are stored."""
        return self.tried.stdout_remote, self.tried.stderr_remote

    def take_forgettable(self) -> tuple[str, ...]:
        """Attempts whose directories may go along with the open attempt, as the guard names them.

        Only those of its very spool: root's and the login's are two.
        """
        mine = self.tried
        same = (mine.become, mine.spool, mine.spool_id)
        chosen = [a for a in self.forgettable if (a.become, a.spool, a.spool_id) == same][:FORGET_AT_ONCE]
        self.forgetting = [attempt.pk for attempt in chosen]
        self.forgettable = [attempt for attempt in self.forgettable if attempt not in chosen]
        return tuple(attempt.pk.hex for attempt in chosen)

    def pause(self, seconds: float) -> None:
        self.retry_at = time.monotonic() + seconds

    def forget_attempt(self) -> None:
        """The attempt is closed; the next step starts with a clean hand."""
        if self.attempt is not None:
            self.ended_here(self.attempt)
        self.attempt, self.output = None, None
        self.control, self.recovering, self.losses = Control(), False, 0
        self.forgetting = []

    def wait_after(self, attempt: Attempt) -> None:
        """The step's delay counts from the end of the try before, whoever carries on."""
        rule = self.sequence.step(attempt.result.step_index).retry
        if rule is not None and attempt.ended_at is not None:
            self.pause(rule.delay - (timezone.now() - attempt.ended_at).total_seconds())

    def ended_here(self, attempt: Attempt) -> None:
        if attempt.state == AttemptState.ENDED and not attempt.superseded:
            self.ended[(self.step_index, attempt.part)] = attempt


def load_work(row: RunTarget, sequence: Sequence, results: list[StepResult], attempts: list[Attempt]) -> Work:
    """Read one target's rows; `attempts` in order of number."""
    results = sorted(results, key=lambda r: r.step_index)
    work = Work(
        row=row,
        leaf=json.loads(row.leaf),
        intact=sha256(row.leaf) == row.leaf_hash,
        sequence=sequence,
        results=results,
    )
    index_of = {result.pk: result.step_index for result in results}
    for attempt in attempts:
        index = index_of[attempt.result_id]
        work.tries[(index, attempt.body)] = max(work.tries.get((index, attempt.body), 0), attempt.number)
        if attempt.superseded:
            work.superseded[index] = work.superseded.get(index, 0) + 1
            work.step_index = index
            work.wait_after(attempt)
        elif attempt.state == AttemptState.ENDED and not (
            attempt.mode == Attempt.Mode.PLAIN and attempt.code
        ):
            work.ended[(index, attempt.part)] = attempt
        if attempt.state == AttemptState.UNKNOWN:
            work.unknown = True
        if attempt.state in OPEN_ATTEMPTS:
            work.attempt, work.step_index = attempt, index
    return work


def _masked(masker: Masker, text: str) -> str:
    kept = masker.feed(text.encode())[0] + masker.flush()[0]
    return kept.decode(errors="replace")


def begin_result(result: StepResult) -> None:
    if result.state == ResultState.PENDING:
        result.state = ResultState.RUNNING
        result.started_at = timezone.now()
