"""Kerberos with a real KDC: encrypted messages over HTTP, by the user's password."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from pypsrp.exceptions import AuthenticationError
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan

from opsportal.simulated_windows import Logins, Settings, SimulatedWindows
from tests.simulated_windows.conftest import PASSWORD, USER
from tests.simulated_windows.kdc import REALM, Kdc

PRINCIPAL = f"{USER}@{REALM}"


@pytest.fixture(scope="module")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    kdc = Kdc(tmp_path_factory.mktemp("kdc"))
    try:
        kdc.add_user(USER, PASSWORD)
        kdc.add_service("HTTP/localhost")
        yield kdc
    finally:
        kdc.stop()


@pytest.fixture
def windows(kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedWindows]:
    for name, value in kdc.environment.items():
        monkeypatch.setenv(name, value)
    with SimulatedWindows(Settings(logins=Logins(keytab=kdc.keytab))) as target:
        yield target


def connection(target: SimulatedWindows, auth: str, password: str = PASSWORD) -> WSMan:
    return WSMan(
        "localhost",
        port=target.port,
        ssl=False,
        username=PRINCIPAL,
        password=password,
        auth=auth,
        encryption="always",
        negotiate_service="HTTP",
    )


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_kerberos_works_with_encrypted_messages(auth: str, windows: SimulatedWindows) -> None:
    with connection(windows, auth) as wsman, WinRS(wsman, codepage=65001) as shell:
        process = Process(shell, "hostname")
        process.invoke()
        assert (process.stdout, process.rc) == (b"SIMULATED-WIN\r\n", 0)
        assert windows.shells[0].owner == USER


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wrong_password_gets_no_ticket(windows: SimulatedWindows) -> None:
    with (
        pytest.raises(Exception, match=r"(?i)password|preauth|decrypt") as raised,
        connection(windows, "kerberos", "wrong") as wsman,
        WinRS(wsman),
    ):
        pass
    assert not isinstance(raised.value, AssertionError | AuthenticationError)
    assert windows.calls == []
    del raised
    gc.collect()  # pypsrp leaves its connection to the collector when a login fails
