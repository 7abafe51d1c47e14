"""Logging in on a real sshd, and on servers that ask in other ways."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import paramiko
import pytest
from paramiko.packet import Packetizer

from automation.libraries.deadlines import Deadlines, after
from automation.libraries.errors import (
    AuthFailed,
    AuthKeyUnusable,
    AuthMethodUnavailable,
    ConnectionLost,
    CredentialMissing,
    LibraryError,
)
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.ssh_engine import QuietPacketizer
from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret
from tests.libraries.faulty import Cable, FakeSSH, serving
from tests.libraries.sshd import Sshd, make_key

pytestmark = pytest.mark.usefixtures("nothing_left")


def say(connection: SSHConnection, command: str = "echo here") -> bytes:
    channel = connection.open_channel(command, deadline=after(10))
    said = b""
    while not channel.ended:
        assert channel.wait(deadline=after(10))
        said += channel.read("stdout")
    channel.close()
    return said


@pytest.mark.parametrize(
    ("kind", "passphrase", "form"),
    [("ed25519", "", ""), ("ecdsa", "", ""), ("rsa", "", ""), ("ed25519", "open sesame", ""),
     ("rsa", "open sesame", "PEM"), ("ecdsa", "", "PKCS8")],
)  # fmt: skip
def test_each_usual_kind_of_private_key_logs_in(
    sshd: Sshd, tmp_path: Path, kind: str, passphrase: str, form: str
) -> None:
    path = make_key(tmp_path / "key", kind, passphrase, form=form)
    sshd.authorize(path.with_suffix(".pub"))
    credentials = Credentials(
        "root", private_key=Secret(path.read_text()), passphrase=Secret(passphrase) if passphrase else None
    )
    connection = connect(sshd.endpoint(), credentials)
    assert say(connection) == b"here\n"
    connection.close()


def test_a_key_pasted_from_a_windows_form_logs_in(sshd: Sshd) -> None:
    assert sshd.credentials.private_key is not None
    pasted = "\r\n" + sshd.credentials.private_key.reveal().strip().replace("\n", "\r\n")
    connect(sshd.endpoint(), Credentials("root", private_key=Secret(pasted))).close()


def test_a_wrong_passphrase_is_said_and_not_shown(sshd: Sshd, tmp_path: Path) -> None:
    path = make_key(tmp_path / "key", passphrase="open sesame")
    key = Secret(path.read_text())
    for passphrase in (Secret("hunter2hunter2"), None):
        with pytest.raises(AuthKeyUnusable) as caught:
            connect(sshd.endpoint(), Credentials("root", private_key=key, passphrase=passphrase))
        assert "passphrase" in str(caught.value)
        assert "hunter2" not in str(caught.value)


def test_a_key_that_is_none_is_unusable(sshd: Sshd) -> None:
    with pytest.raises(AuthKeyUnusable):
        connect(sshd.endpoint(), Credentials("root", private_key=Secret("not a key")))


def test_a_login_without_any_secret_is_not_tried(sshd: Sshd) -> None:
    with pytest.raises(CredentialMissing):
        connect(sshd.endpoint(), Credentials("root"))


def test_an_unknown_key_is_refused(sshd: Sshd, tmp_path: Path) -> None:
    key = Secret(make_key(tmp_path / "key").read_text())
    with pytest.raises(AuthFailed, match="root") as caught:
        connect(sshd.endpoint(), Credentials("root", private_key=key))
    assert not caught.value.sent


def test_a_password_where_only_keys_are_allowed_is_not_offered_in_vain(sshd: Sshd) -> None:
    with pytest.raises(AuthMethodUnavailable, match="publickey"):
        connect(sshd.endpoint(), Credentials("root", password=Secret("hunter2")))


def test_a_password_logs_in() -> None:
    with FakeSSH().running() as endpoint:
        connect(endpoint, Credentials("ops", password=Secret("right"))).close()


def test_a_wrong_password_is_refused_and_not_shown() -> None:
    with FakeSSH().running() as endpoint, pytest.raises(AuthFailed) as caught:
        connect(endpoint, Credentials("ops", password=Secret("hunter2")))
    assert "hunter2" not in str(caught.value)


def test_one_hidden_question_is_answered_with_the_password() -> None:
    server = FakeSSH(allowed="keyboard-interactive")
    with server.running() as endpoint:
        connect(endpoint, Credentials("ops", password=Secret("right"))).close()
    assert "keyboard-interactive" in server.seen


def test_other_questions_get_no_secret_for_an_answer() -> None:
    server = FakeSSH(allowed="keyboard-interactive", prompts=(("Password: ", False), ("Code: ", False)))
    with server.running() as endpoint, pytest.raises(AuthFailed, match="more than a password"):
        connect(endpoint, Credentials("ops", password=Secret("right")))


def test_a_key_is_tried_before_the_password(tmp_path: Path) -> None:
    server = FakeSSH(keys=False)
    key = Secret(make_key(tmp_path / "key").read_text())
    with server.running() as endpoint:
        connect(endpoint, Credentials("ops", password=Secret("right"), private_key=key)).close()
    assert server.seen == ["publickey", "password"]


def test_ipv6_is_as_good_as_ipv4(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint("::1"), sshd.credentials)
    assert say(connection) == b"here\n"
    connection.close()


def test_only_strong_algorithms_are_agreed_on(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    assert connection.algorithms["cipher"] == "aes128-gcm@openssh.com"
    options = connection._transport.get_security_options()
    offered = " ".join([*options.kex, *options.ciphers, *options.digests, *options.key_types])
    assert not any(weak in offered for weak in ("sha1", "md5", "cbc", "group-exchange", "ssh-rsa"))
    assert "25519" in options.kex[0]
    connection.close()


def test_a_ping_is_answered(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    assert connection.ping(deadline=after(5))
    connection.close()
    assert not connection.ping(deadline=after(0.2))


def test_a_cut_network_is_noticed_in_the_middle_of_a_command(sshd: Sshd) -> None:
    cable = Cable(sshd.port)
    limits = Deadlines(keepalive=0.2, keepalives_unanswered=2)
    with serving(cable) as port:
        endpoint = Endpoint("127.0.0.1", port, (sshd.host_key(),))
        connection = connect(endpoint, sshd.credentials, limits=limits)
        channel = connection.open_channel("echo begun; sleep 60", deadline=after(10))
        assert channel.wait(deadline=after(10))
        assert channel.read("stdout") == b"begun\n"
        time.sleep(1.0)  # longer than the silence that would count as lost, were it not answered
        assert not channel.ended
        cable.cut.set()
        started = time.monotonic()
        while not channel.ended:
            assert channel.wait(deadline=after(10))
        assert time.monotonic() - started < 10
        assert channel.lost
        assert channel.exit_status is None
        assert not connection.alive
        connection.close()


@pytest.mark.parametrize("asked_by", ["us", "the target"])
def test_keys_are_renewed_in_the_middle_of_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_by: str
) -> None:
    if asked_by == "us":
        monkeypatch.setattr(QuietPacketizer, "REKEY_BYTES", 1 << 20)
    server = Sshd(tmp_path, extra="" if asked_by == "us" else "RekeyLimit 1M")
    try:
        connection = connect(server.endpoint(), server.credentials)
        channel = connection.open_channel("cat | wc -c; head -c 5000000 /dev/zero", deadline=after(10))
        channel.send(b"x" * 3_000_000, deadline=after(30))
        channel.send_eof()
        said = bytearray()
        while not channel.ended:
            assert channel.wait(deadline=after(30))
            said += channel.read("stdout")
        assert len(said) == 5_000_000 + len("3000000\n")
        connection.close()
    finally:
        server.stop()


def test_closing_wakes_whoever_waits(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    channel = connection.open_channel("sleep 60", deadline=after(10))
    threading.Timer(0.1, connection.close).start()
    assert channel.wait(deadline=after(10))
    assert channel.ended
    assert channel.lost
    with pytest.raises(ConnectionLost):
        connection.open_channel("true", deadline=after(10))


def test_an_idle_connection_looks_around_no_more_than_once_in_a_keepalive(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    # paramiko's reader thread wakes at this timeout; its default of 0.1 s burns 18 % of a core for 500
    # idle connections.
    assert connection._transport.sock.gettimeout() == Deadlines().keepalive >= 10
    connection.close()


def test_hundreds_of_failed_and_closed_connections_leave_nothing(sshd: Sshd) -> None:
    strangers = Credentials("root", password=Secret("no"))
    for _ in range(25):
        connect(sshd.endpoint(), sshd.credentials).close()
        with pytest.raises(LibraryError):
            connect(sshd.endpoint(), strangers)


def test_what_is_used_of_paramiko_beside_its_documented_parts_is_there() -> None:
    answers = ("_parse_channel_open_failure", "_parse_channel_open_success")
    for name in ("_next_channel", "_send_message", "_channel_handler_table", *answers):
        assert hasattr(paramiko.Transport, name)
    lifecycle = ("_set_transport", "_set_window", "_close_internal", "_set_closed", "_handle_close")
    data = ("_feed", "_feed_extended", "_send_eof", "_event_pending", "_request_failed", "_check_add_window")
    for name in (*lifecycle, *data):
        assert hasattr(paramiko.Channel, name)
    channel = vars(paramiko.Channel(1))
    assert {"out_buffer_cv", "out_window_size", "out_max_packet_size", "in_window_size"} <= channel.keys()
    assert {"event", "event_ready", "eof_sent", "closed", "active"} <= channel.keys()
    assert hasattr(Packetizer, "start_handshake")


def test_a_target_that_allows_one_channel_is_asked_again_while_the_last_one_goes(
    tmp_path: Path,
) -> None:
    """sshd counts a closed channel until its process is gone."""
    server = Sshd(tmp_path, "MaxSessions 1")
    try:
        connection = connect(server.endpoint(), server.credentials)
        lingers = connection.open_channel("trap '' HUP; echo up; sleep 0.4", deadline=after(10))
        while not lingers.read("stdout"):
            assert lingers.wait(deadline=after(10))
        lingers.close()
        assert say(connection) == b"here\n"
        connection.close()
    finally:
        server.stop()
