"""Logins on this machine, one for each kind of shell that a target may have."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.libraries.envelope.local_target import LocalConnection
from tests.libraries.envelope.login import Login, eventually, processes_with

SHELLS = {
    "dash": ("/bin/bash", "/usr/bin/dash"),
    "bash as sh": ("/bin/bash", "/usr/bin/bash"),
    "busybox": ("/bin/sh", "/usr/bin/busybox"),
    "csh": ("/bin/tcsh", "/usr/bin/dash"),
    "perl": ("/bin/bash", "/usr/bin/dash"),
    "csh and perl": ("/bin/tcsh", "/usr/bin/dash"),
}
"""A login's shell and its `sh`; the guard is in sh but where Perl is named."""


def path_with_shell(folder: Path, shell: str) -> str:
    """A PATH whose `sh` is `shell`; with busybox, one that has busybox's tools and bash alone."""
    folder.mkdir()
    (folder / "sh").symlink_to(shell)
    if not shell.endswith("busybox"):
        return f"{folder}:/usr/bin:/bin"
    for applet in subprocess.run(
        ["busybox", "--list"], capture_output=True, text=True, check=True
    ).stdout.split():
        if applet not in ("sh", "bash"):
            (folder / applet).symlink_to(shell)
    (folder / "bash").symlink_to("/usr/bin/bash")
    return str(folder)


def make_login(folder: Path, *, kind: str = "dash", **env: str) -> Login:
    login_shell, shell = SHELLS[kind]
    mark = f"MARK={secrets.token_hex(8)}"
    home = folder / "home"
    home.mkdir(exist_ok=True)
    connection = LocalConnection(
        login_shell=(login_shell, "-c"),
        env={"HOME": str(home), "PATH": path_with_shell(folder / "bin", shell), "MARK": mark[5:], **env},
        cwd=home,
    )
    return Login(connection, mark=mark, guard="perl" if kind.endswith("perl") else "sh")


@pytest.fixture(params=["dash", "perl"])
def login(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Login]:
    """An account for each of the guards; whatever a test leaves running fails it."""
    login = make_login(tmp_path, kind=request.param)
    yield login
    login.connection.close()
    eventually(lambda: not processes_with(login.mark), within=5)


@pytest.fixture(params=SHELLS)
def any_login(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Login]:
    """The same for each kind of shell."""
    login = make_login(tmp_path, kind=request.param)
    yield login
    login.connection.close()
    eventually(lambda: not processes_with(login.mark), within=5)
