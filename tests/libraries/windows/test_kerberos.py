"""Kerberos logins against a real key distribution centre."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.libraries.errors import AuthFailed, LibraryError
from automation.libraries.windows.errors import (
    KerberosClockSkew,
    KerberosUnknown,
    KerberosUnreachable,
)
from automation.libraries.windows.kerberos import krb5_configuration
from automation.libraries.windows.login import explained
from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from credentials.secret import Secret
from opsportal.simulated_windows import Logins, Settings, SimulatedWindows
from tests.simulated_windows.kdc import REALM, Kdc

USER = f"ops@{REALM}"
PASSWORD = WindowsCredentials(USER, password=Secret("Simulated-1"))


@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    kdc = Kdc(tmp_path_factory.mktemp("kdc"))
    try:
        kdc.add_user("ops", "Simulated-1")
        kdc.add_service("HTTP/localhost")
        yield kdc
    finally:
        kdc.stop()


@pytest.fixture
def windows(kdc: Kdc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimulatedWindows]:
    text = krb5_configuration({REALM: [f"127.0.0.1:{kdc.port}"]})
    configuration = tmp_path / "krb5.conf"
    configuration.write_text(text.replace("[domain_realm]", f"[domain_realm]\n localhost = {REALM}"))
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'no-such-cache'}")
    with SimulatedWindows(Settings(logins=Logins(keytab=kdc.keytab))) as target:
        yield target


def run(target: SimulatedWindows, credentials: WindowsCredentials, host: str = "localhost") -> bytes:
    endpoint = WinRMEndpoint(host, target.port, https=False, method="kerberos")
    return WindowsPowerShellLibrary().execute_powershell(endpoint, "Write-Output 'in'", credentials).stdout


def test_a_password_logs_in_without_a_ticket_cache_and_messages_are_encrypted(
    windows: SimulatedWindows,
) -> None:
    assert run(windows, PASSWORD) == b"in\r\n"


def test_a_keytab_logs_in_without_a_password(windows: SimulatedWindows, kdc: Kdc, tmp_path: Path) -> None:
    keytab = tmp_path / "ops.keytab"
    kdc.keep_keys("ops", keytab)
    packed = Secret(base64.b64encode(keytab.read_bytes()).decode())
    assert run(windows, WindowsCredentials(USER, keytab=packed)) == b"in\r\n"


def test_a_wrong_password_is_refused(windows: SimulatedWindows) -> None:
    with pytest.raises(AuthFailed):
        run(windows, WindowsCredentials(USER, password=Secret("wrong")))


def test_a_login_or_service_that_the_realm_does_not_know_is_named(windows: SimulatedWindows) -> None:
    with pytest.raises(KerberosUnknown):
        run(windows, WindowsCredentials(f"nobody@{REALM}", password=Secret("x")))
    with pytest.raises(LibraryError) as caught:
        run(windows, PASSWORD, "127.0.0.1")
    assert caught.value.code.startswith("kerberos.")


def test_a_realm_whose_centre_is_down_is_named(
    windows: SimulatedWindows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "down.conf").write_text(krb5_configuration({REALM: ["127.0.0.1:9"]}))
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "down.conf"))
    with pytest.raises(KerberosUnreachable):
        run(windows, PASSWORD)


def test_clocks_that_differ_are_named() -> None:
    class Skew(Exception):
        err_code = -1765328347

    assert isinstance(explained(Skew()), KerberosClockSkew)


@pytest.mark.parametrize(
    "realms", [{}, {"example.com": []}, {"EXAMPLE.COM": ["kdc one"]}, {"A\n[x]": []}, {"A": ["x\n"]}]
)
def test_a_configuration_of_wrong_names_is_refused(realms: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r"realm|centre"):
        krb5_configuration(realms)
