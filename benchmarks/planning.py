"""Plans and freezes again and again. Runs inside `manage.py shell`, which has Django set up."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from automation.definitions.query import parse
from automation.definitions.schema import Workflow, load_workflow
from automation.models import Group, HostKey, Target
from automation.submit import Submission, prepare, write
from credentials.models import Credential
from credentials.secret import Secret

TARGETS_A_GROUP = 100


def measure(wanted: str) -> None:
    """Write the seconds of each round to the file that was asked for; the first round is not counted."""
    asked = json.loads(wanted)
    person = User.objects.create_superuser("bench")
    _fill(asked["targets"])
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(person)
    rounds = [_round(person, client, _workflow(asked["steps"])) for _ in range(asked["rounds"] + 1)]
    Path(asked["answer"]).write_text(json.dumps(rounds[1:]), encoding="utf-8")


def _round(person: User, client: Client, workflow: dict[str, Any]) -> dict[str, float]:
    cpu, began = time.process_time(), time.monotonic()
    submission = Submission(workflow=_loaded(workflow), query=parse("all"), submitter=person, hold=True)
    prepared = prepare(submission)
    frozen = time.monotonic()
    run = write(prepared)
    written, used = time.monotonic(), time.process_time() - cpu
    body = json.dumps({"definition": workflow, "targets": "all", "hold": True})
    answer = client.post("/api/v1/runs/", body, content_type="application/json")
    answered = time.monotonic()
    page = client.get(f"/runs/{run.pk}/")
    if (answer.status_code, page.status_code) != (201, 200):
        raise SystemExit(f"The portal answered {answer.status_code} and {page.status_code}")
    return {
        "freeze": frozen - began,
        "write": written - frozen,
        "both": written - began,
        "cpu": used,
        "answer": answered - written,
        "page": time.monotonic() - answered,
    }


def _loaded(workflow: dict[str, Any]) -> Workflow:
    return load_workflow(json.dumps(workflow))


def _workflow(steps: int) -> dict[str, Any]:
    made = [{"name": f"step {n}", "run": {"bash": "systemctl restart nginx"}} for n in range(steps)]
    return {"name": "bench", "steps": made}


def _fill(count: int) -> None:
    """So many targets as a fleet has them: groups, tags, variables, a trusted key and a credential each."""
    credential = Credential(name="bench", kind="password", username="ops")
    credential.set_secrets(password=Secret("for nobody"))
    groups = [
        Group.objects.create(name=f"group {n}", variables={"site": f"dc{n}", "ring": n})
        for n in range(1 + count // TARGETS_A_GROUP)
    ]
    targets = Target.objects.bulk_create(
        Target(
            name=f"target-{n:05d}",
            address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
            credential=credential,
            environment="prod" if n % 3 else "staging",
            tags=["web", f"rack{n % 40}"],
            variables={"rack": n % 40},
        )
        for n in range(count)
    )
    members = Target.groups.through
    members.objects.bulk_create(
        members(target_id=target.pk, group_id=groups[n // TARGETS_A_GROUP].pk)
        for n, target in enumerate(targets)
    )
    HostKey.objects.bulk_create(
        HostKey(target=target, key_type="ssh-ed25519", key=f"AAAA{n:060d}", state=HostKey.State.TRUSTED)
        for n, target in enumerate(targets)
    )
