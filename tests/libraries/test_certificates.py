"""OpenSSH certificates, of hosts and of users, against OpenSSH itself."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from automation.libraries.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateUnusable,
    HostCertificateInvalid,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnknown,
)
from automation.libraries.host_identity import verify
from automation.libraries.host_key_scan import scan_host_keys
from automation.libraries.linux_ssh import LinuxSSHLibrary
from automation.libraries.ssh_connection import connect
from automation.libraries.types import Credentials, Endpoint
from credentials.certificates import CertificateError, read_certificate
from credentials.secret import Secret
from tests.libraries.sshd import Sshd, make_key, sign

pytestmark = pytest.mark.usefixtures("nothing_left")


@dataclass
class Site:
    """A server with a host certificate for `db.example` and 127.0.0.1, which trusts the same CA's users."""

    authority: Path
    server: Sshd

    @property
    def line(self) -> str:
        return " ".join(self.authority.with_suffix(".pub").read_text().split()[:2])

    def endpoint(
        self, *, authorities: tuple[str, ...] | None = None, revoked_keys: tuple[str, ...] = ()
    ) -> Endpoint:
        endpoint = self.server.endpoint(host_keys=())
        trusted = (self.line,) if authorities is None else authorities
        return replace(endpoint, authorities=trusted, revoked_keys=revoked_keys)


@pytest.fixture(scope="module", params=["ed25519", "ecdsa", "rsa"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    authority = make_key(tmp_path_factory.mktemp("authority") / "ca", request.param)

    def certify(folder: Path) -> str:
        lines = [f"TrustedUserCAKeys {authority}.pub"]
        for kind in ("ed25519", "ecdsa", "rsa"):
            certificate = sign(authority, folder / f"host_{kind}.pub", "db.example", "127.0.0.1", host=True)
            lines.append(f"HostCertificate {certificate}")
        return "\n".join(lines)

    server = Sshd(tmp_path_factory.mktemp("server"), prepare=certify)
    (server.folder / "authorized_keys").write_text("")
    server.authorize(server.folder / "login.pub")
    yield Site(authority, server)
    server.stop()


def log_in(endpoint: Endpoint, credentials: Credentials) -> None:
    connect(endpoint, credentials).close()


def test_a_host_certificate_of_a_trusted_authority_is_enough(site: Site) -> None:
    log_in(site.endpoint(), site.server.credentials)


def test_the_certificate_counts_by_the_targets_other_names_too(site: Site) -> None:
    log_in(replace(site.endpoint(), host="127.0.0.9", principals=("db.example",)), site.server.credentials)


def test_a_certificate_for_another_machine_is_refused(site: Site) -> None:
    before = site.server.logins
    with pytest.raises(HostCertificateInvalid) as caught:
        log_in(
            replace(site.endpoint(), host="127.0.0.9", principals=("web.example",)), site.server.credentials
        )
    assert "db.example" in str(caught.value)
    assert site.server.logins == before


def test_another_authority_proves_nothing(site: Site, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    with pytest.raises(HostCertificateInvalid):
        log_in(site.endpoint(authorities=(other,)), site.server.credentials)


def test_a_known_hosts_file_may_name_the_authority(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"@cert-authority [127.0.0.*]:{site.server.port} {site.line}\n")
    place = f"127.0.0.1:{site.server.port}"
    ran = LinuxSSHLibrary().execute_bash(place, "echo ok", site.server.credentials, known_hosts=file)
    assert ran.stdout == b"ok\n"
    key = site.server.host_key()
    file.write_text(file.read_text() + f"@revoked [127.0.0.1]:{site.server.port} {key}\n")
    with pytest.raises(HostKeyRevoked):
        LinuxSSHLibrary().execute_bash(place, "echo ok", site.server.credentials, known_hosts=file)


def test_without_an_authority_a_certified_key_is_a_key_like_any(site: Site) -> None:
    log_in(site.server.endpoint(), site.server.credentials)
    with pytest.raises(HostKeyUnknown):
        log_in(site.server.endpoint(host_keys=()), site.server.credentials)


def test_a_trusted_key_needs_no_certificate_and_a_changed_one_is_told(site: Site, sshd: Sshd) -> None:
    log_in(replace(site.endpoint(), host_keys=(site.server.host_key(),)), site.server.credentials)
    with pytest.raises(HostKeyChanged):
        log_in(
            replace(sshd.endpoint(host_keys=(site.server.host_key(),)), authorities=(site.line,)),
            sshd.credentials,
        )


def test_a_revoked_key_is_refused_whoever_signed_it(site: Site) -> None:
    revoked = tuple(site.server.host_key(kind) for kind in ("ed25519", "ecdsa", "rsa"))
    with pytest.raises(HostKeyRevoked):
        log_in(site.endpoint(revoked_keys=revoked), site.server.credentials)


def test_a_server_without_certificate_is_unknown_to_an_authority(site: Site, sshd: Sshd) -> None:
    with pytest.raises(HostKeyUnknown):
        log_in(replace(sshd.endpoint(host_keys=()), authorities=(site.line,)), sshd.credentials)


def test_a_scan_shows_every_key_and_who_signed_it_without_a_login(site: Site) -> None:
    before = site.server.logins
    found = scan_host_keys(site.server.endpoint(host_keys=()))
    assert [key.line for key in found] == [site.server.host_key(kind) for kind in ("ed25519", "ecdsa", "rsa")]
    printed = subprocess.run(
        ["ssh-keygen", "-lf", f"{site.authority}.pub"], check=True, capture_output=True, text=True
    ).stdout
    assert all(key.authority in printed and key.authority for key in found)
    assert site.server.logins == before


# One check each, on certificates as ssh-keygen makes them.


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return make_key(tmp_path / "ca")


def shown(authority: Path, *names: str, host: bool = True, valid: str = "-1h:+1h", options: str = "") -> str:
    key = make_key(authority.with_name("host"))
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-V", valid]
    command += ["-n", ",".join(names)] if names else []
    command += ["-O", options] if options else []
    subprocess.run([*command, *(["-h"] if host else []), f"{key}.pub"], check=True)
    return key.with_name("host-cert.pub").read_text()


def judge(authority: Path, line: str) -> None:
    found = read_certificate(line)
    key_type, key = found.public_key.split()
    endpoint = Endpoint("db.example", authorities=(authority.with_suffix(".pub").read_text(),))
    verify(endpoint, key_type, base64.b64decode(key), certificate=base64.b64decode(line.split()[1]))


@pytest.mark.parametrize("names", [("db.example",), ("*.example",), ("other", "DB.example")])
def test_names_are_compared_as_openssh_does(authority: Path, names: tuple[str, ...]) -> None:
    judge(authority, shown(authority, *names))


@pytest.mark.parametrize(
    ("names", "wish", "cause"),
    [
        ((), {}, "names no target"),
        (("db.example",), {"host": False}, "for users"),
        (("db.example",), {"valid": "-2h:-1h"}, "valid until"),
        (("db.example",), {"valid": "+1h:+2h"}, "valid from"),
        (("db.example",), {"options": "critical:somebody@example=x"}, "demands"),
        (("web.example",), {}, "for web.example"),
    ],
)
def test_what_does_not_hold_is_refused_with_its_cause(
    authority: Path, names: tuple[str, ...], wish: dict[str, object], cause: str
) -> None:
    line = shown(authority, *names, **wish)  # type: ignore[arg-type]
    with pytest.raises(HostCertificateInvalid) as caught:
        judge(authority, line)
    assert cause in str(caught.value)


def test_a_certificate_around_another_key_is_refused(authority: Path, tmp_path: Path) -> None:
    line = shown(authority, "db.example")
    other = make_key(tmp_path / "stranger").with_suffix(".pub").read_text().split()
    endpoint = Endpoint("db.example", authorities=(authority.with_suffix(".pub").read_text(),))
    with pytest.raises(HostCertificateInvalid, match="another key"):
        verify(endpoint, other[0], base64.b64decode(other[1]), certificate=base64.b64decode(line.split()[1]))


def test_a_changed_byte_breaks_the_signature(authority: Path) -> None:
    kind, body = shown(authority, "db.example").split()[:2]
    blob = base64.b64decode(body).replace(b"db.example", b"db.exampel")
    with pytest.raises(CertificateError, match="signature"):
        read_certificate(f"{kind} {base64.b64encode(blob).decode()}")


def test_a_signature_with_sha1_is_refused(tmp_path: Path) -> None:
    authority = make_key(tmp_path / "ca", "rsa")
    key = make_key(tmp_path / "host")
    command = ["ssh-keygen", "-q", "-t", "ssh-rsa", "-s", str(authority), "-I", "t", "-n", "db.example", "-h"]
    subprocess.run([*command, f"{key}.pub"], check=True)
    with pytest.raises(CertificateError, match="algorithm"):
        read_certificate((tmp_path / "host-cert.pub").read_text())


@pytest.mark.parametrize(
    "text", ["", "x", "ssh-ed25519 AAAA", "ssh-ed25519-cert-v01@openssh.com AAAA", "a" * 70000]
)
def test_what_is_no_certificate_is_told(text: str) -> None:
    with pytest.raises(CertificateError):
        read_certificate(text)


# Users


def user_login(
    site: Site, folder: Path, *, kind: str = "ed25519", valid: str = "-1h:+1h", host: bool = False
) -> Credentials:
    key = make_key(folder / "user", kind)
    certificate = sign(site.authority, folder / "user.pub", "root", valid=valid, host=host)
    return Credentials("root", private_key=Secret(key.read_text()), certificate=certificate.read_text())


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_user_certificate_logs_in_where_the_key_alone_may_not(
    site: Site, tmp_path: Path, kind: str
) -> None:
    credentials = user_login(site, tmp_path, kind=kind)
    log_in(site.server.endpoint(), credentials)
    with pytest.raises(Exception, match="refused"):
        log_in(site.server.endpoint(), replace(credentials, certificate=""))


@pytest.mark.parametrize(
    ("valid", "error"), [("-2h:-1h", CertificateExpired), ("+1h:+2h", CertificateNotYetValid)]
)
def test_a_certificate_out_of_its_time_is_told_before_anything_is_tried(
    site: Site, tmp_path: Path, valid: str, error: type[Exception]
) -> None:
    credentials = user_login(site, tmp_path, valid=valid)
    with pytest.raises(error):
        log_in(Endpoint("192.0.2.1", 1), credentials)


def test_a_certificate_of_another_key_or_for_hosts_is_told(site: Site, tmp_path: Path) -> None:
    credentials = user_login(site, tmp_path)
    other = make_key(tmp_path / "second").read_text()
    with pytest.raises(CertificateUnusable, match="another key"):
        log_in(site.server.endpoint(), replace(credentials, private_key=Secret(other)))
    folder = tmp_path / "hosts"
    folder.mkdir()
    with pytest.raises(CertificateUnusable, match="hosts"):
        log_in(site.server.endpoint(), user_login(site, folder, host=True))
