"""The whole spine in one process: real rows, real SSH, the queue drained by hand."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django_q.models import OrmQ

from automation import tasks
from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import Group, HostKey, JobRun, StepResult, Target
from automation.submit import Submission, submit
from automation.workers.task_packages import unpack
from credentials.models import Credential
from tests.libraries.sshd import Sshd


@dataclass
class Spine:
    """Targets, each an sshd with keys of its own, and one person who may run things on them."""

    servers: list[Sshd]
    person: User
    scratch: Path

    def add_targets(self, *names: str, group: str = "web", trusted: bool = True) -> list[Target]:
        credential = Credential.objects.filter(name="login").first()
        if credential is None:
            login = self.servers[0].credentials
            assert login.private_key is not None
            credential = Credential(name="login", kind="private_key", username=login.username)
            credential.set_secrets(private_key=login.private_key)
        members, _ = Group.objects.get_or_create(name=group)
        made = []
        for name in names:
            server = self.servers[Target.objects.count()]
            target = Target.objects.create(
                name=name, address="127.0.0.1", port=server.port, credential=credential
            )
            target.groups.add(members)
            key_type, key = server.host_key().split()
            row = HostKey.objects.saw(target, key_type, key, HostKey.State.PENDING)
            if trusted:
                row.trust(by=self.person)
            made.append(target)
        return made

    def submit(self, workflow: str, *, targets: str = "group:web", **wanted: Any) -> JobRun:
        definition = load_workflow(textwrap.dedent(workflow))
        return submit(Submission(workflow=definition, query=parse(targets), submitter=self.person, **wanted))

    def run(self, workflow: str, **wanted: Any) -> JobRun:
        run = self.submit(workflow, **wanted)
        self.drain()
        run.refresh_from_db()
        return run

    def drain(self) -> None:
        """Work off the queue until it is empty."""
        while self.take_one():
            pass

    def take_one(self) -> bool:
        """Work off the oldest task of the queue; False when there is none."""
        row = OrmQ.objects.order_by("pk").first()
        if row is None:
            return False
        row.delete()
        package = unpack(row.payload)
        getattr(tasks, package["func"].rsplit(".", 1)[1])(*package["args"])
        return True

    def states(self, run: JobRun) -> dict[str, list[str]]:
        """Each target's states, in order of steps."""
        found: dict[str, list[str]] = {}
        for result in StepResult.objects.filter(run=run).order_by("run_target__position", "step_index"):
            found.setdefault(result.run_target.name, []).append(result.state)
        return found

    def codes(self, run: JobRun) -> set[str]:
        return set(StepResult.objects.filter(run=run).values_list("code", flat=True))
