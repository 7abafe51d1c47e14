"""No credential is used before the target has proved who it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from automation.libraries.errors import HostKeyChanged, HostKeyUnknown, KnownHostsUnusable
from automation.libraries.host_identity import accepted_algorithms, fingerprint, key_blob, known_host_keys
from automation.libraries.ssh_connection import connect
from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret
from tests.libraries.faulty import FakeSSH
from tests.libraries.sshd import Sshd

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.mark.usefixtures("nothing_left")
def test_no_login_is_tried_when_the_host_key_has_changed() -> None:
    server = FakeSSH()
    with server.running() as endpoint:
        changed = Endpoint(endpoint.host, endpoint.port, (OTHER,))
        with pytest.raises(HostKeyChanged) as caught:
            connect(changed, Credentials("ops", password=Secret("right")))
    assert server.seen == []
    assert fingerprint(key_blob(OTHER)) in str(caught.value)
    assert fingerprint(server.key.asbytes()) in str(caught.value)
    assert caught.value.presented == server.host_key


@pytest.mark.usefixtures("nothing_left")
def test_no_login_is_tried_when_no_host_key_is_trusted() -> None:
    server = FakeSSH()
    with server.running() as endpoint, pytest.raises(HostKeyUnknown) as caught:
        connect(Endpoint(endpoint.host, endpoint.port), Credentials("ops", password=Secret("right")))
    assert server.seen == []
    assert caught.value.presented == server.host_key


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_trusted_key_is_asked_for_whichever_kind_it_is(sshd: Sshd, kind: str) -> None:
    connection = connect(sshd.endpoint(host_keys=(sshd.host_key(kind),)), sshd.credentials)
    assert connection.host_key == sshd.host_key(kind)
    connection.close()


def test_one_of_several_trusted_keys_is_enough(sshd: Sshd) -> None:
    connect(sshd.endpoint(host_keys=(OTHER, sshd.host_key())), sshd.credentials).close()


def test_rsa_host_keys_are_asked_for_without_sha1() -> None:
    assert accepted_algorithms(("ssh-rsa AAAA",))[:2] == ("rsa-sha2-512", "rsa-sha2-256")
    assert "ssh-rsa" not in accepted_algorithms(("ssh-rsa AAAA",))


def test_known_hosts_names_keys_by_name_pattern_port_and_hash(tmp_path: Path) -> None:
    source = tmp_path / "known_hosts"
    source.write_text(
        "# comment\n"
        "web1,10.0.0.1 ssh-ed25519 AAA1\n"
        "db*,!db3 ssh-ed25519 AAA2 comment\n"
        "[gate.example]:2222 ssh-rsa AAA3\n"
        "@revoked bad ssh-rsa AAA4\nbad ssh-rsa AAA4\n"
        "@cert-authority * ssh-rsa AAA5\n"
        "hidden.example ssh-ed25519 AAA6\n"
        "half-a-line\n"
    )
    hashed = tmp_path / "hashed"
    hashed.write_text(
        "hidden.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"
    )
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hashed)], check=True, capture_output=True)

    assert known_host_keys(source, Endpoint("WEB1")) == ("ssh-ed25519 AAA1",)
    assert known_host_keys(source, Endpoint("db2")) == ("ssh-ed25519 AAA2",)
    assert known_host_keys(source, Endpoint("db3")) == ()
    assert known_host_keys(source, Endpoint("gate.example", 2222)) == ("ssh-rsa AAA3",)
    assert known_host_keys(source, Endpoint("gate.example")) == ()
    assert known_host_keys(source, Endpoint("bad")) == ()
    assert known_host_keys(hashed, Endpoint("hidden.example")) == (OTHER,)
    assert known_host_keys(hashed, Endpoint("other.example")) == ()


def test_a_missing_known_hosts_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KnownHostsUnusable, match="nowhere"):
        known_host_keys(tmp_path / "nowhere", Endpoint("web1"))
