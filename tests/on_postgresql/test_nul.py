"""NUL, which PostgreSQL stores in no text: refused at the door, or told as what it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.test import Client

from automation.models import ResultState, StepResult, Target
from tests.libraries.sshd import Sshd
from tests.workers.conftest import servers, spine
from tests.workers.spine import Spine

__all__ = ["servers", "spine"]
NUL = "a\x00b"
TARGET = {"name": "db1", "address": "db1.example.org"}
READ = {"name": "look", "steps": [{"name": "look", "effect": "read", "run": {"bash": "true"}}]}


@pytest.fixture
def client(db: None) -> Client:
    del db
    user = User.objects.create_user("ada", password="correct horse battery")
    user.groups.add(Role.objects.get(name="admin"))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("targets/", TARGET | {"name": NUL}),
        ("targets/", TARGET | {"variables": {"note": NUL}}),
        ("targets/", TARGET | {"variables": {"note": [{"deep": NUL}]}}),
        ("targets/", TARGET | {"tags": [NUL]}),
        ("groups/", {"name": "web", "variables": {"note": NUL}}),
        ("runs/", {"definition": READ, "targets": NUL}),
        ("runs/", {"definition": READ, "targets": "all", "reason": NUL}),
        ("runs/", {"definition": READ, "targets": "all", "source": {"kind": "person", "prompt": NUL}}),
        ("runs/", {"definition": READ | {"summary": NUL}, "targets": "all"}),
        ("proposals/", {"request": NUL}),
    ],
)
def test_a_body_with_it_is_refused_or_taken_but_never_breaks_us(
    client: Client, path: str, body: dict[str, Any]
) -> None:
    Target.objects.create(name="web1", address="web1.example.org")
    answer = client.post(f"/api/v1/{path}", body, content_type="application/json")
    assert answer.status_code in (400, 422), answer.content


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/targets/?q=%00",
        "/api/v1/runs/?q=%00&status=%00&workflow=%00",
        "/api/v1/workflows/%00/versions/",
        "/api/v1/runs/1/results/?state=%00",
        "/targets/?q=%00",
        "/runs/?q=%00&status=%00",
        "/workflows/%00/",
        "/admin/automation/target/?q=%00",
    ],
)
def test_an_address_with_it_is_answered(client: Client, path: str) -> None:
    assert client.get(path).status_code < 500


def test_what_a_target_prints_is_kept_to_the_byte_and_its_outputs_are_told(
    spine: Spine, servers: list[Sshd]
) -> None:
    del servers
    spine.add_targets("web1")
    run = spine.run(
        """
        name: nul
        steps:
          - name: print
            effect: read
            run:
              bash: |
                printf "a\\0b\\n"; printf "e\\0f" >&2
                printf "v=x\\0y\\n" >> "$OPSPORTAL_OUTPUT"
                exit 3
        """
    )
    result = StepResult.objects.get(run=run)
    assert result.state == ResultState.FAILED
    assert (result.code, result.exit_code) != ("internal.error", None)
