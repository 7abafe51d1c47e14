"""Who we are and who they are: TLS, pins, and every way to log in that needs no realm."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from automation.libraries.errors import AuthFailed, CredentialMissing, HostKeyChanged, LibraryError
from automation.libraries.windows.address import parse_windows_target
from automation.libraries.windows.errors import (
    AuthorityUnusable,
    LoginInsecure,
    TLSExpired,
    TLSFailed,
    TLSNameMismatch,
    TLSUntrusted,
)
from automation.libraries.windows.tls import key_pin_of, pin_of
from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint
from automation.libraries.windows_powershell import PowerShellResult, WindowsPowerShellLibrary
from credentials.secret import Secret
from opsportal.simulated_windows import Logins, Settings, SimulatedWindows
from tests.libraries.windows.certificates import Authority
from tests.libraries.windows.conftest import OPS, endpoint_of

Start = Callable[..., AbstractContextManager[SimulatedWindows]]
pytestmark = pytest.mark.usefixtures("nothing_left")


def run(endpoint: WinRMEndpoint, credentials: WindowsCredentials = OPS) -> PowerShellResult:
    return WindowsPowerShellLibrary().execute_powershell(endpoint, "Write-Output 'in'", credentials)


@pytest.fixture
def secure(tmp_path: Path, authority: Authority) -> Start:
    """Starts a target that speaks HTTPS."""

    @contextmanager
    def start(
        name: str = "127.0.0.1", *, expired: bool = False, host: str = "127.0.0.1", **logins: Any
    ) -> Iterator[SimulatedWindows]:
        certificate = authority.files(tmp_path, name, expired=expired)
        settings = Settings(host=host, certificate=certificate, logins=Logins(**logins))
        with SimulatedWindows(settings) as target:
            yield target

    return start


@pytest.mark.parametrize("method", ["ntlm", "negotiate", "credssp"])
@pytest.mark.parametrize("encrypt", [False, True])
def test_a_login_over_https_with_a_private_authority(
    secure: Start, authority: Authority, method: str, encrypt: bool
) -> None:
    with secure(credssp=True) as target:
        endpoint = endpoint_of(target, method=method, authority=authority.pem, encrypt=encrypt)
        assert run(endpoint).stdout == b"in\r\n"


@pytest.mark.parametrize("method", ["ntlm", "negotiate", "credssp"])
def test_a_login_over_plain_http_encrypts_every_message(method: str) -> None:
    with SimulatedWindows(Settings(logins=Logins(credssp=True))) as target:
        assert run(endpoint_of(target, method=method)).stdout == b"in\r\n"


def test_a_long_script_goes_over_credssp_in_pieces() -> None:
    with SimulatedWindows(Settings(logins=Logins(credssp=True))) as target:
        script = "# " + "x" * 60_000 + "\nWrite-Output 'in'"
        result = WindowsPowerShellLibrary().execute_powershell(
            endpoint_of(target, method="credssp"), script, OPS
        )
        assert result.stdout == b"in\r\n"


@pytest.mark.parametrize("name", ["SIMULATED\\ops", ".\\ops", "ops@SIMULATED", "ops"])
def test_a_login_name_may_carry_its_domain_in_either_form(name: str) -> None:
    with SimulatedWindows() as target:
        credentials = WindowsCredentials(name, password=Secret("Simulated-1"))
        try:
            assert run(endpoint_of(target), credentials).stdout == b"in\r\n"
        except AuthFailed:
            assert name.startswith(".")  # the simulated target knows one domain


@pytest.mark.parametrize("method", ["ntlm", "negotiate"])
def test_a_wrong_password_is_refused_and_named(method: str) -> None:
    with SimulatedWindows() as target:
        wrong = WindowsCredentials("ops", password=Secret("wrong-password"))
        with pytest.raises(AuthFailed) as caught:
            run(endpoint_of(target, method=method), wrong)
        assert not caught.value.sent and "wrong-password" not in str(caught.value)


def test_basic_is_used_over_verified_tls(secure: Start, authority: Authority) -> None:
    with secure(basic=True) as target:
        assert run(endpoint_of(target, method="basic", authority=authority.pem)).stdout == b"in\r\n"
        wrong = WindowsCredentials("ops", password=Secret("no"))
        with pytest.raises(AuthFailed):
            run(endpoint_of(target, method="basic", authority=authority.pem), wrong)


@pytest.mark.parametrize("method", ["basic", "certificate"])
def test_an_unprotected_login_over_http_is_refused_before_anything_is_sent(method: str) -> None:
    with SimulatedWindows(Settings(logins=Logins(basic=True, allow_unencrypted=True))) as target:
        with pytest.raises(LoginInsecure):
            run(endpoint_of(target, method=method))
        assert not target.connections


def test_a_client_certificate_logs_in_without_a_password(secure: Start, authority: Authority) -> None:
    certificate, key = authority.issue("ops", client=True)
    credentials = WindowsCredentials("", private_key=Secret(key), client_certificate=certificate)
    with secure(certificates={"ops": "ops"}) as target:
        endpoint = endpoint_of(target, method="certificate", authority=authority.pem)
        assert run(endpoint, credentials).stdout == b"in\r\n"


def test_a_login_without_its_secret_is_refused_at_once() -> None:
    with SimulatedWindows() as target:
        with pytest.raises(CredentialMissing):
            run(endpoint_of(target), WindowsCredentials("ops"))
        assert not target.connections


def test_no_credential_is_sent_to_a_target_that_no_authority_vouches_for(
    secure: Start, authority: Authority
) -> None:
    other = Authority("somebody else")
    with secure(basic=True) as target:
        for authorities in ("", other.pem):
            with pytest.raises(TLSUntrusted) as caught:
                run(endpoint_of(target, method="basic", authority=authorities))
            assert caught.value.code == "tls.untrusted"
        assert not target.calls


def test_an_expired_certificate_is_told_as_expired(secure: Start, authority: Authority) -> None:
    with secure(expired=True) as target, pytest.raises(TLSExpired):
        run(endpoint_of(target, authority=authority.pem))


def test_a_certificate_for_another_name_is_told_as_such(secure: Start, authority: Authority) -> None:
    with secure("other.example") as target, pytest.raises(TLSNameMismatch):
        run(endpoint_of(target, authority=authority.pem))


def test_an_unreadable_authority_is_named() -> None:
    with pytest.raises(AuthorityUnusable):
        run(WinRMEndpoint("127.0.0.1", 1, authority="no certificate"))


def test_https_to_a_port_that_speaks_http_is_named() -> None:
    with SimulatedWindows() as target, pytest.raises(TLSFailed):
        run(endpoint_of(target, https=True))


def test_a_pinned_certificate_or_public_key_needs_no_authority(secure: Start, tmp_path: Path) -> None:
    with secure("other.example", expired=True) as target:
        shown = WindowsPowerShellLibrary().test_connection(endpoint_of(target), OPS).host_key
        der = certificate_bytes(tmp_path / "chain.pem")
        assert shown == pin_of(der)
        for pin in (shown, key_pin_of(der)):
            assert run(endpoint_of(target, host_keys=(pin,))).stdout == b"in\r\n"


def certificate_bytes(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_another_certificate_than_the_pinned_one_stops_everything(
    secure: Start, authority: Authority
) -> None:
    with secure() as target:
        pins = ("x509-sha256 " + "0" * 64,)
        with pytest.raises(HostKeyChanged) as caught:
            run(endpoint_of(target, host_keys=pins, authority=authority.pem))
        assert caught.value.presented.startswith("x509-sha256 ") and not target.calls


def test_an_address_of_version_six_works_with_and_without_tls(secure: Start, authority: Authority) -> None:
    with secure("::1", host="::1") as target:
        assert run(endpoint_of(target, authority=authority.pem)).stdout == b"in\r\n"
    with SimulatedWindows(Settings(host="::1")) as target:
        endpoint = parse_windows_target(f"http://[::1]:{target.port}/wsman")
        assert endpoint.url == target.endpoint and run(endpoint).stdout == b"in\r\n"


def test_proxies_and_authorities_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, secure: Start, authority: Authority, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(authority.pem)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with SimulatedWindows() as target:
        assert run(endpoint_of(target)).stdout == b"in\r\n"
    with secure() as target, pytest.raises(TLSUntrusted):
        run(endpoint_of(target))


@pytest.mark.parametrize(
    ("text", "host", "port", "https"),
    [
        ("web-1", "web-1", 5986, True),
        ("web-1:5985", "web-1", 5985, False),
        ("[fe80::1]:5986", "fe80::1", 5986, True),
        ("http://[::1]", "::1", 5985, False),
        ("https://web-1/wsman", "web-1", 5986, True),
    ],
)
def test_addresses_are_understood(text: str, host: str, port: int, https: bool) -> None:
    endpoint = parse_windows_target(text)
    assert (endpoint.host, endpoint.port, endpoint.https) == (host, port, https)


@pytest.mark.parametrize(
    "text", ["http://user:pw@web-1/wsman", "http://web-1/custom", "http://web-1/wsman?x=1", "ftp://web-1", ""]
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(LibraryError) as caught:
        parse_windows_target(text)
    assert caught.value.code == "target.invalid" and "pw" not in str(caught.value)


def test_each_phase_of_a_test_has_its_own_code_and_duration(secure: Start, authority: Authority) -> None:
    with secure() as target:
        good = WindowsPowerShellLibrary().test_connection(endpoint_of(target, authority=authority.pem), OPS)
        wrong = WindowsCredentials("ops", password=Secret("no"))
        bad = WindowsPowerShellLibrary().test_connection(endpoint_of(target, authority=authority.pem), wrong)
    names = ["resolve", "tcp", "tls", "protocol", "credential", "shell"]
    assert [(phase.name, phase.code) for phase in good.phases] == [(name, "ok") for name in names]
    codes = ["ok", "ok", "ok", "ok", "auth.failed", "skipped"]
    assert [phase.code for phase in bad.phases] == codes


class Proxy:
    """Connects its clients with where they want to be, and notes what they asked for."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.asked = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        while b"\r\n\r\n" not in self.asked:
            self.asked += client.recv(1000)
        host, _, port = self.asked.split()[1].decode().rpartition(":")
        with client, socket.create_connection((host, int(port))) as target:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            ends = {client: target, target: client}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    def stop(self) -> None:
        self._thread.join(5)
        self._server.close()


def test_a_proxy_that_was_asked_for_sees_the_name_alone(secure: Start, authority: Authority) -> None:
    proxy = Proxy()
    with secure() as target:
        place = endpoint_of(target, authority=authority.pem, proxy=f"http://127.0.0.1:{proxy.port}")
        assert run(place).stdout == b"in\r\n"
        assert proxy.asked.startswith(f"CONNECT 127.0.0.1:{target.port} ".encode())
    proxy.stop()


def test_a_proxy_is_refused_for_plain_http() -> None:
    with pytest.raises(LibraryError) as caught:
        run(WinRMEndpoint("127.0.0.1", 5985, https=False, proxy="http://127.0.0.1:9"))
    assert caught.value.code == "target.invalid"
