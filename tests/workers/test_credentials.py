"""Which credential a run uses, and when it refuses to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from automation.models import EnvironmentDefault, Event, Group, OutputChunk, StepResult, Target
from automation.plan import PlanError
from credentials.models import Credential
from credentials.secret import Secret
from tests.credentials.bao import Bao
from tests.workers.spine import Spine

LOOK = """
name: look
steps:
  - name: look
    effect: read
    run: {bash: 'whoami'}
"""


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    server = Bao()
    yield server
    server.stop()


def other_login(spine: Spine, name: str) -> Credential:
    key = spine.servers[0].credentials.private_key
    assert key is not None
    credential = Credential(name=name, kind="private_key", username="root")
    credential.set_secrets(private_key=key)
    return credential


def expire(name: str) -> None:
    Credential.objects.filter(name=name).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_a_run_notes_that_it_used_the_credential(spine: Spine) -> None:
    spine.add_targets("web-1")
    run = spine.run(LOOK)
    login = Credential.objects.get(name="login")
    assert login.last_used_run == run.pk
    assert login.last_used_at is not None


def test_an_expired_credential_is_refused_at_planning(spine: Spine) -> None:
    spine.add_targets("web-1", "web-2")
    expire("login")
    with pytest.raises(PlanError, match=r"login \(for web-1, web-2\).* submit again") as caught:
        spine.submit(LOOK)
    assert caught.value.code == "credential.expired"


def test_a_credential_that_expires_before_its_run_starts_blocks_it(spine: Spine) -> None:
    spine.add_targets("web-1")
    run = spine.submit(LOOK)
    expire("login")
    spine.drain()
    assert spine.codes(run) == {"credential.expired"}


def test_a_run_logs_in_with_the_groups_credential_where_the_target_has_none(spine: Spine) -> None:
    spine.add_targets("web-1")
    Target.objects.update(credential=None)
    Group.objects.filter(name="web").update(credential=other_login(spine, "of the group"))
    run = spine.run(LOOK)
    assert run.status == "succeeded"
    assert '"why_credential":"of group web"' in run.targets.get().leaf


def test_a_run_logs_in_with_the_environments_default(spine: Spine) -> None:
    spine.add_targets("web-1")
    Target.objects.update(credential=None, environment="Lab")
    EnvironmentDefault.objects.create(environment="lab", credential=other_login(spine, "of the lab"))
    run = spine.run(LOOK)
    assert run.status == "succeeded"
    assert Credential.objects.get(name="of the lab").last_used_run == run.pk


def test_another_credential_than_the_planned_one_blocks_the_target(spine: Spine) -> None:
    spine.add_targets("web-1")
    Target.objects.update(credential=None)
    Group.objects.filter(name="web").update(credential=other_login(spine, "of the group"))
    run = spine.submit(LOOK)
    Group.objects.filter(name="web").update(credential=other_login(spine, "another"))
    spine.drain()
    assert spine.codes(run) == {"plan.changed"}


def keep_login_in_vault(spine: Spine, bao: Bao) -> None:
    key = spine.servers[0].credentials.private_key
    assert key is not None
    bao.put(key=key.reveal(), sudo="sudo-of-the-vault-1")
    login = Credential.objects.get(name="login")
    login.kind, login.vault = "vault", bao.entry(keys={"private_key": "key", "become_password": "sudo"})
    login.save()
    login.replace_secrets(type(login.secrets())(vault_secret=Secret(bao.token())))


def test_a_run_reads_its_secrets_from_the_vault_and_masks_them(spine: Spine, bao: Bao) -> None:
    spine.add_targets("web-1", "web-2")
    keep_login_in_vault(spine, bao)
    run = spine.run(LOOK.replace("whoami", "echo it is sudo-of-the-vault-1"))
    assert run.status == "succeeded"
    output = b"".join(OutputChunk.objects.values_list("data", flat=True))
    assert b"it is " in output
    assert b"sudo-of-the-vault-1" not in output


def test_targets_whose_vault_does_not_answer_are_blocked_and_others_go_on(spine: Spine, bao: Bao) -> None:
    spine.add_targets("web-1", "web-2")
    Target.objects.filter(name="web-2").update(credential=other_login(spine, "kept here"))
    keep_login_in_vault(spine, bao)
    login = Credential.objects.get(name="login")
    login.vault = bao.entry(address="https://127.0.0.1:1", keys={"private_key": "key"})
    login.save()
    run = spine.run(LOOK.replace("steps:", "rollout: {max_failures: 1}\nsteps:"))
    assert spine.states(run) == {"web-1": ["blocked"], "web-2": ["succeeded"]}
    blocked = StepResult.objects.get(run=run, state="blocked")
    assert blocked.code == "vault.unreachable"
    assert "Check the server" in blocked.message
    assert not Event.objects.filter(data__icontains="PRIVATE KEY").exists()
