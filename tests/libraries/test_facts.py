"""Facts: what a real machine says, and what a hostile one may not say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from automation.libraries.errors import FactsUnreadable
from automation.libraries.facts import KNOWN, LONGEST, SCRIPT, collect_facts, read_facts
from automation.libraries.ssh_connection import connect
from tests.libraries.sshd import Sshd

LEAST = b"kernel=6.1.0-18-amd64\narchitecture=x86_64\n"


def test_one_exec_tells_what_the_machine_is(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    try:
        facts = collect_facts(connection)
    finally:
        connection.close()
    assert facts["kernel"] == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert {
        "os.distribution",
        "cpus",
        "memory.mb",
        "disk.root.free_mb",
        "init",
        "virtualisation",
    } <= facts.keys()
    assert all(name in KNOWN for name in facts)


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_any_posix_shell_tells_the_same(shell: list[str]) -> None:
    assert shutil.which(shell[0]), f"these tests need {shell[0]}"
    said = subprocess.run([*shell, "-s"], input=SCRIPT, capture_output=True, check=True)
    assert said.stderr == b""
    assert {"kernel", "cpus", "memory.mb", "package_manager"} <= read_facts(said.stdout).keys()


def test_the_script_writes_nothing(tmp_path: Path) -> None:
    subprocess.run(["dash", "-s"], input=SCRIPT, cwd=tmp_path, capture_output=True, check=True)
    assert list(tmp_path.iterdir()) == []


def test_values_are_of_their_kind() -> None:
    said = LEAST + b"cpus=8\nreboot_needed=true\nmemory.mb=16000\n"
    assert read_facts(said) | {"cpus": 8, "reboot_needed": True, "memory.mb": 16000} == read_facts(said)


@pytest.mark.parametrize(
    "line",
    [
        b"become_password=x",
        b"host=evil",
        b"address=evil",
        b"cpus=many",
        b"cpus=-1",
        b"memory.mb=99999999999999999999",
        b"reboot_needed=maybe",
        b"package_manager=apt; rm -rf /",
        b"init=$(reboot)",
        b"nothing at all",
        b"=",
    ],
)
def test_what_is_no_known_fact_of_its_kind_is_dropped(line: bytes) -> None:
    assert read_facts(LEAST + line + b"\n") == read_facts(LEAST)


def test_the_first_word_counts_and_long_text_is_cut_and_printable() -> None:
    said = LEAST + b"kernel=second\nos.name=\x1b[31m" + b"x" * 1000 + b"\n"
    facts = read_facts(said)
    assert facts["kernel"] == "6.1.0-18-amd64"
    name = facts["os.name"]
    assert isinstance(name, str)
    assert len(name) == LONGEST
    assert "\x1b" not in name


@pytest.mark.parametrize("said", [b"", b"\xff\xfe\n" * 50, b"kernel=6.1\n"])
def test_what_no_linux_would_say_is_an_error(said: bytes) -> None:
    with pytest.raises(FactsUnreadable):
        read_facts(said)
