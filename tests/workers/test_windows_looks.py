"""Tests, facts and certificates of Windows targets, which are simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.ask_test import ask_test
from automation.host_key_lines import read_authority
from automation.models import Group, HostCertificateAuthority, Target, TargetTest
from opsportal.simulated_windows import Settings, SimulatedWindows
from tests.api.conftest import session
from tests.libraries.windows.certificates import Authority
from tests.workers.spine import Spine
from tests.workers.windows import WindowsFleet

AUTHORITY = Authority("OpsPortal test authority")
LOOK = "{name: look, steps: [{name: look, effect: read, run: {powershell: 'Write-Output seen'}}]}"


@pytest.fixture
def secure(windows: WindowsFleet, tmp_path: Path) -> Iterator[Target]:
    """A target over HTTPS, whose certificate an authority of our own has signed."""
    certificate = AUTHORITY.files(tmp_path, "127.0.0.1")
    with SimulatedWindows(Settings(certificate=certificate)) as simulated:
        windows.add("windows-1")
        Target.objects.update(port=simulated.port, winrm={"method": "ntlm"})
        yield Target.objects.get()


def look(spine: Spine, target: Target, kind: str = TargetTest.Kind.TEST) -> TargetTest:
    asked = ask_test(target, by=spine.person, kind=kind)
    spine.drain()
    asked.refresh_from_db()
    return asked


def test_a_test_tells_each_phase_with_its_code(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    found = look(spine, Target.objects.get())
    assert (found.success, found.code) == (True, "ok")
    names = [phase["name"] for phase in found.phases]
    assert names == ["resolve", "tcp", "protocol", "credential", "shell"]
    assert {phase["code"] for phase in found.phases} == {"ok"}


def test_the_facts_say_that_the_target_is_simulated(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    assert look(spine, Target.objects.get(), TargetTest.Kind.FACTS).code == "ok"
    facts = Target.objects.get().facts
    assert facts["os.name"] == "OpsPortal simulated Windows"
    assert facts["disk.root.used_percent"] == 60 and facts["hostname"] == "SIMULATED-WIN"


def test_an_unknown_certificate_is_kept_for_a_person_and_works_once_pinned(
    spine: Spine, secure: Target
) -> None:
    found = look(spine, secure)
    assert found.code == "tls.untrusted" and found.next_step
    shown = secure.host_keys.get()
    assert (shown.key_type, shown.state, shown.fingerprint) == ("x509-sha256", "pending", found.host_key)
    shown.trust(by=spine.person)
    assert look(spine, secure).code == "ok"
    assert spine.run(LOOK).status == "succeeded"


def test_a_scan_shows_the_certificate_without_a_login(spine: Spine, secure: Target) -> None:
    assert look(spine, secure, TargetTest.Kind.SCAN).code == "ok"
    assert secure.host_keys.get().key_type == "x509-sha256"


def test_the_authority_of_a_group_vouches_for_its_windows_targets_alone(spine: Spine, secure: Target) -> None:
    key_type, key = read_authority(AUTHORITY.pem)
    private = HostCertificateAuthority.objects.create(name="ours", key_type=key_type, key=key)
    assert look(spine, secure).code == "tls.untrusted"
    private.groups.add(Group.objects.get(name="web"))
    assert look(spine, secure).code == "ok"
    assert spine.run(LOOK).status == "succeeded"


def test_after_its_pin_was_revoked_a_target_is_not_worked_on(spine: Spine, secure: Target) -> None:
    look(spine, secure)
    secure.host_keys.get().revoke(by=spine.person)
    run = spine.run(LOOK)
    assert spine.codes(run) == {"hostkey.unknown"}


def test_the_page_of_a_windows_target_offers_every_look(spine: Spine, secure: Target) -> None:
    page = session(spine.person).get(f"/targets/{secure.pk}/").content.decode()
    assert "Ask for its certificate" in page and "Ask now" in page


def test_over_plain_http_there_is_no_certificate_to_ask_for(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    page = session(spine.person).get(f"/targets/{Target.objects.get().pk}/").content.decode()
    assert "No certificate" in page and "Ask for its" not in page


def test_the_page_of_a_windows_target_says_nothing_that_is_true_of_ssh_alone(
    spine: Spine, windows: WindowsFleet
) -> None:
    windows.add("windows-1")
    spine.run("{name: x, rollout: {canary: 0}, steps: [{name: s, run: {powershell: 'Write-Output 1'}}]}")
    page = session(spine.person).get(f"/targets/{Target.objects.get().pk}/").content.decode()
    assert "Windows over WinRM" in page and "guard files" in page and "plain HTTP" in page
    assert "guard in" not in page and "asks the machine for its key" not in page


def test_the_page_of_a_target_over_https_tells_what_vouches_for_it(spine: Spine, secure: Target) -> None:
    client = session(spine.person)
    assert "Its certificate counts if an authority" in client.get(f"/targets/{secure.pk}/").content.decode()
    assert "no pin" in client.get("/targets/").content.decode()


def test_the_plan_does_not_promise_root_on_windows(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    step = "{name: s, become: true, run: {powershell: 'Write-Output 1'}}"
    run = spine.submit(f"{{name: x, rollout: {{canary: 0}}, steps: [{step}]}}")
    page = session(spine.person).get(f"/runs/{run.pk}/plan/").content.decode()
    assert "as root (become), on Windows as the login" in page
