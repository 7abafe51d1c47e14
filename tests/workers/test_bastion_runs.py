"""Runs and tests of targets behind bastions, and of targets that prove themselves by a certificate."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError

from automation.ask_test import ask_test
from automation.models import HostCertificateAuthority, HostKey, JobRun, RunTarget, Target
from automation.plan import PlanError
from credentials.models import Credential
from tests.libraries.sshd import Sshd, make_key, sign
from tests.workers.spine import Spine

HELLO = """
name: hello
summary: Say hello
steps:
  - name: hello
    effect: change
    run: {bash: 'echo "from=$SSH_CONNECTION"'}
"""


@pytest.fixture
def chain(spine: Spine) -> list[Target]:
    """A target behind an inner bastion behind an outer one; the bastions are in no group of the run."""
    outer, inner = spine.add_targets("outer", "inner", group="bastions")
    [target] = spine.add_targets("app")
    Target.objects.filter(pk=inner.pk).update(bastion=outer)
    Target.objects.filter(pk=target.pk).update(bastion=inner)
    return [outer, inner, target]


def test_a_run_goes_through_the_chain(spine: Spine, chain: list[Target]) -> None:
    before = [server.logins for server in spine.servers]
    run = spine.run(HELLO)
    assert run.status == "succeeded"
    assert [server.logins > was for server, was in zip(spine.servers[:3], before, strict=False)] == [True] * 3


def test_the_way_is_frozen_in_the_plan(spine: Spine, chain: list[Target]) -> None:
    run = spine.submit(HELLO)
    leaf = json.loads(RunTarget.objects.get(run=run).leaf)
    assert [hop["name"] for hop in leaf["via"]] == ["outer", "inner"]
    assert all(hop["host_keys"] and hop["credential"] for hop in leaf["via"])
    Target.objects.update(bastion=None)
    spine.drain()
    run.refresh_from_db()
    assert run.status == "succeeded"


def test_another_key_at_a_bastion_blocks_the_target_and_alarms_at_the_bastion(
    spine: Spine, chain: list[Target]
) -> None:
    outer, _, target = chain
    run = spine.submit(HELLO)
    row = RunTarget.objects.get(run=run)
    assert row.target == target
    Target.objects.filter(pk=outer.pk).update(port=spine.servers[3].port)
    run = spine.run(HELLO)
    assert spine.codes(run) == {"hostkey.changed"}
    assert outer.host_keys.filter(state=HostKey.State.CHANGED).exists()
    assert not target.host_keys.filter(state=HostKey.State.CHANGED).exists()


@pytest.mark.parametrize("what", ["key", "credential", "bastion"])
def test_what_changes_at_a_bastion_after_the_plan_blocks_the_target(
    spine: Spine, chain: list[Target], what: str
) -> None:
    run = spine.submit(HELLO)
    if what == "key":
        chain[0].host_keys.get().revoke(by=spine.person)
    elif what == "bastion":
        Target.objects.filter(pk=chain[0].pk).update(enabled=False)
    else:
        own = Credential(name="own", kind="password", username="root")
        Target.objects.filter(pk=chain[0].pk).update(credential=None)
        del own
    spine.drain()
    run.refresh_from_db()
    assert run.status == "failed"
    assert spine.states(run) == {"app": ["blocked"]}
    result = run.results.get()
    assert "at bastion outer" in result.message


def test_a_bastion_without_a_trusted_key_is_named_before_anybody_approves(
    spine: Spine, chain: list[Target]
) -> None:
    chain[0].host_keys.all().delete()
    run = spine.submit(HELLO)
    assert run.blast_radius["without_trusted_key"] == ["app (behind outer)"]


def test_a_test_behind_bastions_keeps_a_bastions_key_at_the_bastion(
    spine: Spine, chain: list[Target]
) -> None:
    outer, _, target = chain
    outer.host_keys.all().delete()
    test = ask_test(Target.objects.get(pk=target.pk), by=spine.person)
    spine.drain()
    test.refresh_from_db()
    assert (test.code, test.host_key) == ("hostkey.unknown", "")
    assert "bastion outer" in test.cause
    assert outer.host_keys.get().state == "pending"
    assert target.host_keys.count() == 1


def test_a_circle_is_refused_when_it_is_made_and_when_it_is_planned(
    spine: Spine, chain: list[Target]
) -> None:
    outer, _, target = chain
    outer.bastion = Target.objects.get(pk=target.pk)
    with pytest.raises(ValidationError, match="circle"):
        outer.full_clean()
    Target.objects.filter(pk=outer.pk).update(bastion=target)
    with pytest.raises(PlanError, match="circle"):
        spine.submit(HELLO)


def test_nobody_is_behind_itself_or_behind_windows(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    target.bastion = target
    with pytest.raises(ValidationError, match="circle"):
        target.full_clean()
    target.bastion = Target.objects.create(
        name="win", address="192.0.2.1", platform="windows", transport="winrm"
    )
    with pytest.raises(ValidationError, match="no bastion"):
        target.full_clean()


def test_a_bastion_in_use_cannot_be_deleted(chain: list[Target]) -> None:
    with pytest.raises(ProtectedError):
        chain[0].delete()


def drop_connections(server: Sshd) -> None:
    """End the server's connections, not the server."""
    for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def test_a_script_goes_on_and_runs_once_when_the_bastion_drops_us(
    spine: Spine, chain: list[Target], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    body = f"{{bash: 'echo once >> {ran}; sleep 2; echo end >> {ran}'}}"
    cut = threading.Timer(1.2, drop_connections, [spine.servers[0]])
    cut.start()
    run = spine.run(HELLO.replace("""{bash: 'echo "from=$SSH_CONNECTION"'}""", body))
    cut.join()
    assert run.status == "succeeded"
    assert ran.read_text() == "once\nend\n"


# Host certificates


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory, servers: list[Sshd]) -> Iterator[tuple[Sshd, Path]]:
    authority = make_key(tmp_path_factory.mktemp("authority") / "ca")

    def certify(folder: Path) -> str:
        return f"HostCertificate {sign(authority, folder / 'host_ed25519.pub', 'web1', host=True)}"

    server = Sshd(tmp_path_factory.mktemp("certified"), prepare=certify)
    server.authorize(servers[0].folder / "login.pub")
    yield server, authority
    server.stop()


@pytest.fixture
def vouched_for(spine: Spine, certified: tuple[Sshd, Path]) -> Target:
    """A target with no trusted key of its own, whose authority is trusted for its group."""
    server, authority = certified
    [target] = spine.add_targets("web1")
    target.host_keys.all().delete()
    Target.objects.filter(pk=target.pk).update(port=server.port)
    key_type, key = authority.with_suffix(".pub").read_text().split()[:2]
    row = HostCertificateAuthority.objects.create(name="site", key_type=key_type, key=key)
    row.groups.set(target.groups.all())
    return target


def test_a_run_on_a_target_that_proves_itself_by_a_certificate(spine: Spine, vouched_for: Target) -> None:
    run = spine.run(HELLO)
    assert run.status == "succeeded"
    assert run.blast_radius["without_trusted_key"] == []
    assert not vouched_for.host_keys.exists()


def blocked_code(spine: Spine, run: JobRun) -> str:
    spine.drain()
    run.refresh_from_db()
    assert spine.states(run) == {"web1": ["blocked"]}
    return spine.codes(run).pop()


def test_an_authority_that_is_switched_off_blocks_a_waiting_run(spine: Spine, vouched_for: Target) -> None:
    run = spine.submit(HELLO)
    HostCertificateAuthority.objects.update(enabled=False)
    assert blocked_code(spine, run) == "hostkey.changed"


def test_a_certificate_does_not_outweigh_a_revoked_key(
    spine: Spine, vouched_for: Target, certified: tuple[Sshd, Path]
) -> None:
    run = spine.submit(HELLO)
    key_type, key = certified[0].host_key().split()
    HostKey.objects.saw(vouched_for, key_type, key, HostKey.State.PENDING).revoke(by=spine.person)
    assert blocked_code(spine, run) == "hostkey.revoked"


def test_a_certificate_for_another_name_blocks(spine: Spine, vouched_for: Target) -> None:
    Target.objects.filter(pk=vouched_for.pk).update(name="web2")
    run = spine.run(HELLO)
    assert spine.codes(run) == {"hostkey.certificate_invalid"}
    assert vouched_for.host_keys.get().state == "pending"
