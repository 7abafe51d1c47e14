"""Runs as the plan page and the live page show them: rows as workers write them, without any target."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import Attempt, Group, HostKey, JobRun, OutputChunk, StepResult, Target
from automation.submit import Submission, submit
from credentials.models import Credential

HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ8mJ0tZJ9p1jZ2nW8c2Gm0hJwXl8QvN0gXoY3n0bS1p"
UPDATE = """
name: update-package
summary: Update one package
parameters:
  package: {type: string, label: Package}
rollout: {canary: 1, batches: [50%], max_parallel: 2, max_failures: 1, bake: 10s, on_failure: undo}
steps:
  - name: look
    effect: read
    run: {bash: 'dpkg-query -W "$package"'}
  - name: update
    effect: change
    become: true
    timeout: 90s
    check: {bash: 'apt-get -s install "$package"'}
    run: {bash: 'apt-get install -y "$package" && echo "<done>"'}
    verify: {bash: 'dpkg -s "$package"'}
    undo: {bash: 'apt-get install "$package=$OUTPUT_version"'}
"""


def add_targets(count: int, *, trusted: int | None = None, environment: str = "prod") -> list[Target]:
    """`web1`, `web2`, … in group `web servers`; the first `trusted` of them, else all, with a trusted key."""
    credential, _ = Credential.objects.get_or_create(
        name="ssh-prod", defaults={"kind": "password", "username": "deploy"}
    )
    group, _ = Group.objects.get_or_create(name="web servers", defaults={"variables": {"port": 8080}})
    made = []
    for number in range(1, count + 1):
        target = Target.objects.create(
            name=f"web{number}",
            address=f"10.0.0.{number}",
            credential=credential,
            environment=environment,
            tags=["web", "eu"],
        )
        target.groups.add(group)
        if trusted is None or number <= trusted:
            HostKey.objects.create(target=target, key_type="ssh-ed25519", key=HOST_KEY, state="trusted")
        made.append(target)
    return made


def submit_update(by: User, query: str = "all", **wanted: Any) -> JobRun:
    asked: dict[str, Any] = {"parameters": {"package": "nginx"}} | wanted
    return submit(Submission(workflow=load_workflow(UPDATE), query=parse(query), submitter=by, **asked))


def set_result(run: JobRun, target: str, step: str, state: str, **fields: Any) -> StepResult:
    """A result in this state, told as a worker tells it."""
    row = StepResult.objects.get(run=run, run_target__name=target, step=step)
    for name, value in (fields | {"state": state}).items():
        setattr(row, name, value)
    row.save()
    told = {"kind": "step", "target": target, "step": step, "state": state}
    told |= {key: fields[key] for key in ("code", "message") if key in fields}
    tell(run, told)
    return row


def print_output(result: StepResult, data: bytes, *, stream: str = "stdout", body: str = "run") -> Attempt:
    """The result's attempt of this body, made if there is none, has printed this."""
    attempt = result.attempts.filter(body=body).first() or Attempt.objects.create(
        result=result, number=1, body=body, mode="plain", state="running", become=False
    )
    begin = getattr(attempt, f"{stream}_stored")
    end = begin + len(data)
    OutputChunk.objects.create(attempt=attempt, stream=stream, offset=begin, end=end, data=data)
    setattr(attempt, f"{stream}_stored", end)
    attempt.save()
    place = {"target": result.run_target.name, "step": result.step, "body": body, "stream": stream}
    tell(result.run, {"kind": "output", **place, "offset": begin, "length": end})
    return attempt


def tell(run: JobRun, *events: dict[str, Any]) -> None:
    with transaction.atomic():
        JobRun.objects.locked(run.pk).tell(list(events))


def move(run: JobRun, status: str) -> None:
    with transaction.atomic():
        JobRun.objects.locked(run.pk).move(status)
