"""People, targets and runs in the states that pages show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import Group, JobRun, StepResult, Target
from automation.models.runs import FINAL
from automation.submit import Submission, submit

PASSWORD = "correct horse battery"
TWO_STEPS = """
name: touch-file
summary: Make a file
parameters:
  file: {type: string}
steps:
  - name: look
    effect: read
    run: {bash: 'ls -l "$file"'}
  - name: touch
    effect: change
    run: {bash: 'touch "$file"'}
"""


def person(name: str, *roles: str) -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    user.groups.set(Role.objects.filter(name__in=roles))
    return user


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def targets(*names: str, group: str = "web", environment: str = "") -> list[Target]:
    members, _ = Group.objects.get_or_create(name=group)
    made = []
    for name in names:
        target = Target.objects.create(name=name, address=f"{name}.example.org", environment=environment)
        target.groups.add(members)
        made.append(target)
    return made


def run_of(user: User, *, query: str = "group:web", **wanted: Any) -> JobRun:
    """A run as submission makes it: held, waiting or queued, by the policy and what is asked for."""
    return submit(
        Submission(
            workflow=load_workflow(TWO_STEPS),
            query=parse(query),
            submitter=user,
            parameters={"file": "/tmp/x"},
            **wanted,
        )
    )


def brought_to(run: JobRun, status: str, *, good: int = 0, bad: int = 0) -> JobRun:
    """The run as it is later: its first targets good, the next ones bad, the others as they were."""
    for place, target in enumerate(run.targets.order_by("position")):
        if place >= good + bad:
            break
        is_good = place < good
        target.good, target.state = is_good, "done"
        target.save()
        StepResult.objects.filter(run_target=target).update(state="succeeded" if is_good else "failed")
    run.status, run.bad = status, bad
    run.started_at = timezone.now() - timedelta(minutes=3)
    run.finished_at = timezone.now() - timedelta(minutes=1) if status in FINAL else None
    run.save()
    return run
