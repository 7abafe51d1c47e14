"""Runs whose story the test itself writes: rows as the workers write them, without any target."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.db import transaction

from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import Attempt, AttemptState, JobRun, OutputChunk, RunStatus, StepResult, Target
from automation.submit import Submission, submit

LOOK = "{name: look, steps: [{name: look, effect: read, run: {bash: 'true'}}]}"


def person(name: str, role: str | None = None) -> User:
    user = User.objects.create_user(name, password="correct horse battery")
    if role is not None:
        user.groups.add(Role.objects.get(name=role))
    return user


def make_run(submitter: User, *names: str) -> JobRun:
    """A run that looks at these targets, queued and untouched."""
    for name in names or ("web1",):
        Target.objects.get_or_create(name=name, defaults={"address": f"{name}.example.org"})
    return submit(Submission(workflow=load_workflow(LOOK), query=parse("all"), submitter=submitter))


def tell(run: JobRun, *events: dict[str, Any], finish: bool = False) -> None:
    """Append events as a worker does, and if asked end the run."""
    with transaction.atomic():
        row = JobRun.objects.locked(run.pk)
        row.tell(list(events))
        if finish:
            row.move(RunStatus.SUCCEEDED)


def tell_notes(run: JobRun, count: int, *, finish: bool = False) -> None:
    tell(run, *({"kind": "note", "message": str(n)} for n in range(count)), finish=finish)


def begin(run: JobRun, target: str = "web1", **fields: Any) -> Attempt:
    """The next attempt of the step's run body on the target, running."""
    result = StepResult.objects.get(run=run, run_target__name=target)
    number = result.attempts.count() + 1
    given = {"body": "run", "mode": "plain", "state": AttemptState.RUNNING} | fields
    return Attempt.objects.create(result=result, number=number, become=False, **given)


def print_bytes(run: JobRun, attempt: Attempt, data: bytes, *, stream: str = "stdout") -> None:
    """Store what the attempt printed and tell how far it reaches, in one transaction."""
    with transaction.atomic():
        row = JobRun.objects.locked(run.pk)
        begin = getattr(attempt, f"{stream}_stored")
        end = begin + len(data)
        OutputChunk.objects.create(attempt=attempt, stream=stream, offset=begin, end=end, data=data)
        setattr(attempt, f"{stream}_stored", end)
        attempt.save(update_fields=[f"{stream}_stored"])
        result = attempt.result
        row.tell(
            [
                {
                    "kind": "output",
                    "target": result.run_target.name,
                    "step": result.step,
                    "body": attempt.body,
                    "stream": stream,
                    "offset": begin,
                    "length": end,
                }
            ]
        )


def end(run: JobRun, attempt: Attempt) -> None:
    """The attempt is over, and so is its target's step."""
    with transaction.atomic():
        row = JobRun.objects.locked(run.pk)
        attempt.state = AttemptState.ENDED
        attempt.save(update_fields=["state"])
        result = attempt.result
        row.tell(
            [{"kind": "step", "target": result.run_target.name, "step": result.step, "state": "succeeded"}]
        )
