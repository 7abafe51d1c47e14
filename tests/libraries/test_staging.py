"""Files on their way to a target: whole or not there, in bounded memory, and sent once."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.libraries.envelope import Control
from automation.libraries.errors import LibraryError, SpoolUnusable
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.staging import LocalFile, stage
from automation.libraries.types import Endpoint
from tests.libraries.sshd import Sshd

SIZE = 8 * 1024 * 1024


@pytest.fixture
def connection(sshd: Sshd) -> Iterator[SSHConnection]:
    endpoint = Endpoint("127.0.0.1", sshd.port, (sshd.host_key(),))
    opened = connect(endpoint, sshd.credentials)
    yield opened
    opened.close()
    shutil.rmtree(f"/var/tmp/.opsportal-files-{os.getuid()}", ignore_errors=True)


@pytest.fixture
def file(tmp_path: Path) -> LocalFile:
    return made(tmp_path / "file", os.urandom(1024) * (SIZE // 1024))


def made(path: Path, content: bytes) -> LocalFile:
    path.write_bytes(content)
    return LocalFile(path, len(content), hashlib.sha256(content).hexdigest())


def sent(connection: SSHConnection, file: LocalFile, control: Control | None = None) -> str | None:
    return stage(connection, file, control=control or Control(), deadline=time.monotonic() + 20)


def test_the_file_arrives_whole_where_only_the_login_can_read_it(
    connection: SSHConnection, file: LocalFile
) -> None:
    place = sent(connection, file)
    assert place is not None
    assert Path(place).read_bytes() == file.path.read_bytes()
    assert Path(place).stat().st_mode & 0o077 == Path(place).parent.stat().st_mode & 0o077 == 0


def test_it_is_streamed_in_little_memory(connection: SSHConnection, file: LocalFile) -> None:
    tracemalloc.start()
    sent(connection, file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < SIZE / 3


def test_what_is_there_already_is_not_sent_again(connection: SSHConnection, file: LocalFile) -> None:
    first = sent(connection, file)
    file.path.unlink()
    assert sent(connection, file) == first


def test_what_was_tampered_with_on_the_target_is_sent_anew(
    connection: SSHConnection, file: LocalFile
) -> None:
    place = sent(connection, file)
    assert place is not None
    Path(place).write_bytes(b"evil")
    assert sent(connection, file) == place
    assert Path(place).read_bytes() == file.path.read_bytes()


def test_an_empty_file_is_a_file(connection: SSHConnection, tmp_path: Path) -> None:
    place = sent(connection, made(tmp_path / "empty", b""))
    assert place is not None
    assert Path(place).read_bytes() == b""


def test_what_does_not_arrive_as_promised_is_refused_and_nothing_stays(
    connection: SSHConnection, file: LocalFile
) -> None:
    wrong = LocalFile(file.path, file.size, "0" * 64)
    with pytest.raises(SpoolUnusable) as caught:
        sent(connection, wrong)
    assert caught.value.sent is False
    assert list(Path(f"/var/tmp/.opsportal-files-{os.getuid()}").iterdir()) == []


def test_a_wish_to_stop_ends_the_transfer(connection: SSHConnection, file: LocalFile) -> None:
    control = Control()
    control.cancel()
    assert sent(connection, file, control) is None


def test_a_lost_connection_says_that_nothing_was_started(connection: SSHConnection, file: LocalFile) -> None:
    connection.close()
    with pytest.raises(LibraryError) as caught:
        sent(connection, file)
    assert caught.value.sent is False
