"""Runs that log in with a keytab, against a real key distribution centre, or with a client certificate."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.ask_test import ask_test
from automation.libraries.windows.kerberos import krb5_configuration
from automation.libraries.windows.tls import pin_of
from automation.models import HostKey, Target
from credentials.models import Credential
from credentials.secret import Secret
from opsportal.simulated_windows import Logins, Settings, SimulatedWindows
from tests.libraries.windows.certificates import Authority
from tests.simulated_windows.kdc import REALM, Kdc
from tests.workers.spine import Spine
from tests.workers.windows import WindowsFleet

LOOK = """
    name: look
    steps:
      - {name: look, effect: read, run: {bash: 'echo in', powershell: "Write-Output 'in'"}}
"""
CHANGE = LOOK.replace("read", "change")


@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    kdc = Kdc(tmp_path_factory.mktemp("kdc"))
    try:
        kdc.add_user("ops", "Simulated-1")
        kdc.add_service("HTTP/localhost")
        yield kdc
    finally:
        kdc.stop()


def keytab_of(kdc: Kdc, folder: Path) -> Secret:
    file = folder / "ops.keytab"
    kdc.keep_keys("ops", file)
    return Secret(base64.b64encode(file.read_bytes()).decode())


def files_left() -> set[Path]:
    return {file for file in Path(tempfile.gettempdir()).iterdir() if file.is_file()}


def test_a_run_logs_in_with_a_keytab_and_leaves_no_file(
    spine: Spine, windows: WindowsFleet, kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = krb5_configuration({REALM: [f"127.0.0.1:{kdc.port}"]})
    configuration = tmp_path / "krb5.conf"
    configuration.write_text(text.replace("[domain_realm]", f"[domain_realm]\n localhost = {REALM}"))
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'no-such-cache'}")
    credential = Credential(name="keytab", kind="keytab", username=f"ops@{REALM}")
    keytab = keytab_of(kdc, tmp_path)
    credential.set_secrets(keytab=keytab)
    windows.add(
        "windows-1",
        settings=Settings(logins=Logins(keytab=kdc.keytab)),
        credential=credential,
        winrm={"method": "kerberos", "https": False},
    )
    Target.objects.update(address="localhost")
    before = files_left()
    run = spine.run(CHANGE)
    assert run.status == "succeeded", run.results.get().message
    secret = base64.b64decode(keytab.reveal())
    assert not [file for file in files_left() - before if secret in file.read_bytes()]


def certificate_login(spine: Spine, windows: WindowsFleet, folder: Path) -> SimulatedWindows:
    """A target that takes nothing but a client certificate, with its pin and a credential."""
    authority = Authority("ours")
    certificate, key = authority.issue("ops", client=True)
    credential = Credential(
        name="certificate", kind="client_certificate", username="ops", certificate=certificate
    )
    credential.clean()
    credential.set_secrets(private_key=Secret(key))
    serves = authority.files(folder, "127.0.0.1")
    simulated = windows.add(
        "windows-1",
        settings=Settings(certificate=serves, logins=Logins(certificates={"ops": "ops"})),
        credential=credential,
        winrm={"method": "certificate"},
    )
    pin_type, pin = pin_of(ssl.PEM_cert_to_DER_cert(serves.chain.read_text())).split()
    target = Target.objects.get(name="windows-1")
    HostKey.objects.saw(target, pin_type, pin, HostKey.State.PENDING).trust(by=spine.person)
    return simulated


def test_a_run_logs_in_with_a_client_certificate(spine: Spine, windows: WindowsFleet, tmp_path: Path) -> None:
    certificate_login(spine, windows, tmp_path)
    run = spine.run(CHANGE)
    assert run.status == "succeeded", run.results.get().message


@pytest.mark.parametrize("method", ["negotiate", "kerberos"])
def test_a_method_that_does_not_fit_the_credential_is_told(
    spine: Spine, windows: WindowsFleet, tmp_path: Path, method: str
) -> None:
    simulated = certificate_login(spine, windows, tmp_path)
    Target.objects.update(winrm={"method": method})
    run = spine.run(CHANGE)
    [told] = run.blast_radius["unfit_credential"]
    assert told["targets"] == ["windows-1"] and f"The login method is {method}" in told["message"]
    result = run.results.get()
    assert (result.state, result.code, result.message) == ("blocked", "credential.unfit", told["message"])
    assert not simulated.calls


def test_a_test_tells_that_the_method_does_not_fit_before_anything_is_sent(
    spine: Spine, windows: WindowsFleet
) -> None:
    simulated = windows.add("windows-1", winrm={"method": "certificate"})
    look = ask_test(Target.objects.get(), by=spine.person)
    spine.drain()
    look.refresh_from_db()
    assert (look.success, look.code) == (False, "credential.unfit")
    assert "kind that the method takes" in look.next_step
    assert not simulated.calls
