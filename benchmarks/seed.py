"""Fills a fresh installation. Runs inside `manage.py shell`, which has Django set up."""

from __future__ import annotations

import json
from pathlib import Path

from django.contrib.auth.models import User

from automation.models import ApiToken, HostKey, Target
from credentials.models import Credential
from credentials.secret import Secret


def seed(wanted: str) -> None:
    """Write targets, their trusted keys and one credential; the file then holds a token for the API."""
    file = Path(wanted)
    given = json.loads(file.read_text(encoding="utf-8"))
    admin = User.objects.get(username="admin")
    credential = Credential(name="benchmark", kind="private_key", username=given["login"])
    credential.set_secrets(private_key=Secret(Path(given["key"]).read_text(encoding="utf-8")))
    for place in given["targets"]:
        target = Target.objects.create(
            name=place["name"], address=place["address"], port=place["port"], credential=credential
        )
        key_type, key = place["host_key"].split()
        HostKey.objects.saw(target, key_type, key, HostKey.State.PENDING).trust(by=admin)
    scopes = ["runs:submit", "runs:read"]
    _, text = ApiToken.objects.issue(name="benchmark", user=admin, kind=ApiToken.Kind.PERSON, scopes=scopes)
    file.write_text(json.dumps({"token": text}), encoding="utf-8")
