"""The round's own dealings with the portal's database: its inventory, and what its rows say."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from automation.models import (
    ApiToken,
    Attempt,
    AttemptState,
    Group,
    HostKey,
    JobRun,
    RunTarget,
    StepResult,
    Target,
    TargetLock,
)
from automation.models.results import OPEN_ATTEMPTS
from automation.models.runs import FINAL
from credentials.models import Credential
from credentials.secret import Secret
from tests.hosts.client import Hosts


def enlist(hosts: Hosts) -> str:
    """Write the hosts into the inventory, trusted, and give the text of a token to run things on them."""
    with transaction.atomic():
        person = User.objects.create_superuser("chaos")
        entries = hosts.inventory()["hosts"]
        credential = Credential(name="chaos", kind="private_key", username=entries[0]["user"])
        credential.set_secrets(private_key=Secret(Path(entries[0]["private_key"]).read_text()))
        web = Group.objects.create(name="web")
        for entry in entries:
            target = Target.objects.create(
                name=entry["name"],
                address=entry["address"],
                port=entry["port"],
                credential=credential,
                variables={"me": entry["name"]},
            )
            target.groups.add(web)
            key_type, key = entry["host_key"].split()
            HostKey.objects.saw(target, key_type, key, HostKey.State.PENDING).trust(by=person)
        scopes = ["runs:read", "runs:submit", "runs:control"]
        _, text = ApiToken.objects.issue(name="chaos", user=person, kind="person", scopes=scopes)
    return text


def live_runs() -> int:
    return JobRun.objects.exclude(status__in=FINAL).count()


def open_attempts() -> int:
    return Attempt.objects.filter(state__in=OPEN_ATTEMPTS).count()


def is_sending(target: str) -> bool:
    """Whether an attempt's intent is stored and its start is not, on that target or, for "", on any."""
    sending = Attempt.objects.filter(state=AttemptState.DISPATCHING, mode=Attempt.Mode.ENVELOPE)
    return sending.filter(**({"result__run_target__name": target} if target else {})).exists()


def free_locks() -> list[str]:
    """What a person does with targets whose state nobody knows; names of those that had no reason."""
    left = TargetLock.objects.filter(run_target__state=RunTarget.State.DONE).select_related("run_target")
    unfounded = [
        f"run {lock.run_id} kept the lock of {lock.run_target.name}, whose state is known"
        for lock in left
        if not StepResult.objects.filter(run_target=lock.run_target, attempts__state="unknown").exists()
    ]
    TargetLock.objects.filter(pk__in=[lock.pk for lock in left]).delete()
    return unfounded
