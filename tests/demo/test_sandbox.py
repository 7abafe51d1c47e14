"""The sandbox is one: tried from inside with what a script would try, and refused when it is not proven."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from opsportal.demo.hosts import copy_stand_ins, make_disk
from opsportal.demo.proof import NAMESPACES, prove, try_sandbox
from opsportal.demo.refusals import explain
from opsportal.demo.sandbox import NoSandbox, Sandbox, start

Answer = TypeVar("Answer")


def inside(folder: Path, use: Callable[[Sandbox], Awaitable[Answer]]) -> Answer:
    async def live() -> Answer:
        place = Path(tempfile.mkdtemp(dir=folder))
        make_disk(place / "root", "probe")
        sandbox = await start(place / "root", "probe", copy_stand_ins(place))
        try:
            return await use(sandbox)
        finally:
            sandbox.end()

    return asyncio.run(live())


def said(folder: Path, command: str) -> list[str]:
    return inside(folder, lambda sandbox: sandbox.output(command)).splitlines()


def test_a_sandbox_is_proven() -> None:
    asyncio.run(try_sandbox())


def test_this_machines_files_are_invisible(tmp_path: Path) -> None:
    (tmp_path / "canary").touch()
    files = f"{tmp_path}/canary {__file__} /etc/shadow {Path.home()}/.ssh /var/lib/dpkg"
    look = f"for f in {files}; do ls -d $f; done"
    assert said(tmp_path, look) == []
    assert said(tmp_path, "ls /home /root; cat /etc/hostname") == ["/home:", "ops", "", "/root:", "probe"]


def test_there_is_no_network(tmp_path: Path) -> None:
    devices = said(tmp_path, "tail -n +3 /proc/net/dev | cut -d: -f1")
    assert [device.strip() for device in devices] == ["lo"]
    assert said(tmp_path, "curl -s http://198.18.0.1/ 2>&1") == [
        "curl: (7) Failed to connect: a practice host has no network"
    ]


def test_only_its_own_processes_are_there(tmp_path: Path) -> None:
    assert said(tmp_path, "exec ls -d /proc/[0-9]* | wc -l") in (["3"], ["4"])
    assert said(tmp_path, f"kill -0 {os.getpid()} 2>/dev/null && echo reached") == []


def test_every_namespace_is_its_own(tmp_path: Path) -> None:
    async def look(sandbox: Sandbox) -> list[str]:
        return [
            kind
            for kind in NAMESPACES
            if Path(f"/proc/{sandbox.pid}/ns/{kind}").readlink() == Path(f"/proc/self/ns/{kind}").readlink()
        ]

    assert inside(tmp_path, look) == []


@pytest.mark.parametrize(
    "place",
    [
        "/proc/sys/kernel/core_pattern",
        "/usr/bin/true",
        "/usr/sbin/apt-get",
        "/opt/practice/bin/sudo",
        "/opt/executor.py",
    ],
)
def test_what_belongs_to_the_machine_cannot_be_written(tmp_path: Path, place: str) -> None:
    assert said(tmp_path, f"test -e {place} && echo there; (exec 3>>{place}) 2>/dev/null && echo open") == [
        "there"
    ]


def test_no_capability_is_left(tmp_path: Path) -> None:
    assert said(tmp_path, "grep -E 'Cap(Eff|Bnd)' /proc/self/status | tr -d '\\t'") == [
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
    ]


def test_when_it_ends_nothing_of_it_is_left(tmp_path: Path) -> None:
    async def leave(sandbox: Sandbox) -> int:
        await sandbox.output("setsid sleep 1000 >/dev/null 2>&1 &")
        return sandbox.pid

    assert not Path(f"/proc/{inside(tmp_path, leave)}").exists()


def test_a_visible_file_or_a_wrong_name_is_no_proof(tmp_path: Path) -> None:
    async def doubt(sandbox: Sandbox) -> None:
        with pytest.raises(NoSandbox, match="visible /usr/bin/bash"):
            await prove(sandbox, name="probe", hidden=[Path("/usr/bin/bash")])
        with pytest.raises(NoSandbox, match="not tight"):
            await prove(sandbox, name="another", hidden=[])

    inside(tmp_path, doubt)


def test_a_bubblewrap_that_contains_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in that simply runs the command: the proof must notice, whatever made it so."""
    fake = tmp_path / "bin" / "bwrap"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(NoSandbox):
        asyncio.run(try_sandbox())


def test_without_bubblewrap_nothing_starts_and_the_command_to_install_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSandbox, match="not installed"):
        asyncio.run(try_sandbox())
    assert "sudo apt-get install -y bubblewrap" in explain("", bubblewrap=None)


@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
            "profile bwrap /usr/bin/bwrap flags=(unconfined)",
        ),
        ("kernel/unprivileged_userns_clone", "0\n", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0\n", "sysctl -w user.max_user_namespaces="),
        ("kernel/apparmor_restrict_unprivileged_userns", "0\n", "container"),
    ],
)
def test_a_refusal_tells_how_to_allow_it(tmp_path: Path, setting: str, value: str, advice: str) -> None:
    file = tmp_path / setting
    file.parent.mkdir(parents=True)
    file.write_text(value)
    told = explain(
        "bwrap: setting up uid map: Permission denied", bubblewrap="/usr/bin/bwrap", settings=tmp_path
    )
    assert advice in told
    assert "nothing was run" in told
    assert "setting up uid map: Permission denied" in told
