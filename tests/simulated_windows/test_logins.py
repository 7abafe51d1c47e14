"""Logging in: NTLM with encrypted messages, CredSSP, certificates, Basic; and all that is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.protocol import Protocol

from opsportal.simulated_windows import Certificate, Logins, Settings, SimulatedWindows
from tests.simulated_windows.conftest import PASSWORD, USER, Ran, client, encoded, remembered, run
from tests.simulated_windows.papers import Authority

WHO = encoded("hostname")
ANSWER = (b"SIMULATED-WIN\r\n", b"", 0)
IDENTIFY = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    "<s:Header/><s:Body><w:Identify/></s:Body></s:Envelope>"
)


@pytest.fixture
def strict() -> Iterator[SimulatedWindows]:
    """As Windows is set up by itself: no Basic, nothing in clear."""
    with SimulatedWindows() as target:
        yield target


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[SimulatedWindows]:
    with secured(authority) as target:
        yield target


def secured(authority: Authority, *, days: int = 1, name: str = "localhost") -> SimulatedWindows:
    paper = authority.server(name, days=days)
    certificate = Certificate(paper.chain, paper.key, clients=authority.file)
    logins = Logins(basic=True, credssp=True, certificates={"robot": USER})
    return SimulatedWindows(Settings(logins=logins, certificate=certificate))


def test_ntlm_works_with_encrypted_messages(strict: SimulatedWindows) -> None:
    protocol = client(strict, "ntlm", message_encryption="always")
    assert run(protocol, WHO) == ANSWER


@pytest.mark.parametrize("name", [USER, f"SIMULATED\\{USER}", f"SIMULATED-WIN\\{USER}", f"{USER}@SIMULATED"])
def test_a_user_may_be_named_with_the_domain_or_without(name: str, strict: SimulatedWindows) -> None:
    assert run(client(strict, "ntlm", username=name), WHO) == ANSWER


@pytest.mark.parametrize("transport", ["ntlm", "basic"])
def test_a_wrong_password_is_refused(transport: str, windows: SimulatedWindows) -> None:
    with pytest.raises(InvalidCredentialsError):
        client(windows, transport, password="wrong").open_shell()
    assert windows.calls == []


def test_a_user_that_nobody_knows_is_refused(strict: SimulatedWindows) -> None:
    with pytest.raises(InvalidCredentialsError):
        client(strict, "ntlm", username="nobody").open_shell()


def test_basic_is_not_offered_by_default(strict: SimulatedWindows) -> None:
    with pytest.raises(InvalidCredentialsError):
        client(strict, "basic").open_shell()
    assert strict.calls == []


def test_a_message_in_clear_is_refused_by_default(strict: SimulatedWindows) -> None:
    with pytest.raises(InvalidCredentialsError):
        client(strict, "ntlm", message_encryption="never").open_shell()
    assert strict.calls == []


def test_a_sealed_message_for_another_connection_is_answered_with_400(strict: SimulatedWindows) -> None:
    protocol = client(strict, "ntlm")
    shell = protocol.open_shell()
    strict.drop_connections()
    with pytest.raises(WinRMTransportError, match="400"):
        protocol.run_command(shell, "hostname")
    assert client(strict, "ntlm").run_command(shell, "hostname")


@pytest.mark.parametrize("token", ["", "?", "TlRMTVNTUAAX", "YEgGBisGAQUFAqA+MDyg", "TlRMTVNTUABVVVVV" * 9])
@pytest.mark.parametrize("scheme", ["Negotiate", "CredSSP", "Basic", "Bearer"])
def test_a_token_that_is_none_does_not_log_in(scheme: str, token: str) -> None:
    with SimulatedWindows(Settings(logins=Logins(credssp=True))) as target:
        header = {"Authorization": f"{scheme} {token}"}
        assert requests.post(target.endpoint, data="x", headers=header, timeout=10).status_code == 401


def test_many_logins_at_once_do_not_disturb_each_other(
    strict: SimulatedWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    before = os.environ.get("NTLM_USER_FILE", "")

    def who(_: int) -> Ran:
        # Without a proxy of its own: requests turns one off by the environment, which threads share.
        return run(client(strict, "ntlm", proxy="legacy_requests"), WHO)

    with ThreadPoolExecutor(20) as pool:
        ran = list(pool.map(who, range(40)))
    assert ran == [ANSWER] * 40
    assert strict.shells == []
    assert os.environ.get("NTLM_USER_FILE", "") == before


def test_credssp_works_with_encrypted_messages_large_ones_too() -> None:
    with (
        SimulatedWindows(Settings(logins=Logins(credssp=True))) as target,
        WSMan(
            "127.0.0.1", port=target.port, ssl=False, username=USER, password=PASSWORD, auth="credssp"
        ) as wsman,
        WinRS(wsman, codepage=65001) as shell,
    ):
        target.script("much", fill=100_000)
        process = Process(shell, "powershell.exe", ["-Command", "much"])
        process.begin_invoke()
        process.send(b"x" * 60_000)
        process.end_invoke()
        assert (len(process.stdout), process.rc) == (100_000, 0)


def trusting(target: SimulatedWindows, authority: Authority, transport: Any = "basic") -> Protocol:
    url = f"https://localhost:{target.port}/wsman"
    given: dict[str, Any] = {"username": USER, "password": PASSWORD, "ca_trust_path": str(authority.file)}
    return remembered(Protocol(url, transport=transport, proxy=None, **given))


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
def test_a_certificate_of_a_known_authority_is_accepted(
    transport: str, secure: SimulatedWindows, authority: Authority
) -> None:
    assert run(trusting(secure, authority, transport), WHO) == ANSWER


def test_a_token_bound_to_another_tls_connection_is_refused(authority: Authority) -> None:
    paper = authority.server()
    logins = Logins(bound_to_tls=True)
    with SimulatedWindows(Settings(logins=logins, certificate=Certificate(paper.chain, paper.key))) as target:
        assert run(trusting(target, authority, "ntlm"), WHO) == ANSWER
        unbound = client(target, "ntlm", ca_trust_path=str(authority.file), send_cbt=False)
        with pytest.raises(InvalidCredentialsError):
            unbound.open_shell()


def test_a_client_may_log_in_by_certificate(secure: SimulatedWindows, authority: Authority) -> None:
    paper = authority.client("robot")
    protocol = client(
        secure,
        "certificate",
        cert_pem=str(paper.chain),
        cert_key_pem=str(paper.key),
        ca_trust_path=str(authority.file),
    )
    assert run(protocol, WHO) == ANSWER
    assert {call.user for call in secure.calls} == {USER}


def test_a_certificate_of_nobody_that_is_known_does_not_log_in(
    secure: SimulatedWindows, authority: Authority
) -> None:
    paper = authority.client("stranger")
    given = {"cert_pem": str(paper.chain), "cert_key_pem": str(paper.key)}
    with pytest.raises(InvalidCredentialsError):
        client(secure, "certificate", ca_trust_path=str(authority.file), **given).open_shell()


def test_another_authority_is_not_trusted(secure: SimulatedWindows, tmp_path: Path) -> None:
    with pytest.raises(requests.exceptions.SSLError, match=r"self-signed|unable to get local issuer"):
        trusting(secure, Authority(tmp_path, "Another authority")).open_shell()


def test_an_expired_certificate_is_noticed(authority: Authority) -> None:
    with (
        secured(authority, days=-1) as target,
        pytest.raises(requests.exceptions.SSLError, match="expired"),
    ):
        trusting(target, authority).open_shell()


def test_a_certificate_for_another_name_is_noticed(authority: Authority) -> None:
    with (
        secured(authority, name="elsewhere") as target,
        pytest.raises(requests.exceptions.SSLError, match="mismatch"),
    ):
        trusting(target, authority).open_shell()


def test_a_stranger_may_ask_who_is_there_and_is_told_that_it_is_simulated(strict: SimulatedWindows) -> None:
    answer = requests.post(
        strict.endpoint,
        data=IDENTIFY,
        headers={"WSMANIDENTIFY": "unauthenticated", "Content-Type": "application/soap+xml;charset=UTF-8"},
        timeout=10,
    )
    assert "simulated Windows target" in answer.text
    assert "simulated" in answer.headers["Server"]
    assert requests.post(strict.endpoint, data=IDENTIFY, timeout=10).status_code == 401
