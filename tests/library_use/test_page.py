"""Each program of docs/library.md runs as it stands, without Django, and prints what is promised."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from opsportal.simulated_windows import Settings, SimulatedWindows
from tests.libraries.sshd import Sshd
from tests.opsportal.one_target import OneTarget

PAGE = Path(settings.BASE_DIR) / "docs" / "library.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# An import of it then fails as if it were not installed.
NO_DJANGO = "import sys\n\nsys.modules['django'] = None\n"


def programs() -> Iterator[tuple[str, str, str]]:
    """Heading, program and promised output of each part; the page's first program begins all others."""
    _, *parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    for part in parts:
        (kind, program), (other, promised) = BLOCK.findall(part)
        assert (kind, other) == ("python", "text"), part
        yield part.partition("\n")[0], program, promised


def beginning() -> str:
    ((kind, program),) = BLOCK.findall(PAGE.read_text().partition("\n## ")[0])
    assert kind == "python"
    return str(program)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of the programs: an sshd, a Windows that is simulated, and a portal with workers."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "target").mkdir()
    target = Sshd(folder / "target")
    portal = OneTarget(folder / "data", target)
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{target.port} {target.host_key()}\n")
    try:
        portal.start()
        with SimulatedWindows(Settings()) as windows:
            yield {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(settings.BASE_DIR),
                "LINUX_TARGET": f"127.0.0.1:{target.port}",
                "KNOWN_HOSTS": str(known_hosts),
                "PRIVATE_KEY": str(target.folder / "login"),
                "WINDOWS_PORT": str(windows.port),
                "WINDOWS_PASSWORD": "Simulated-1",
                "OPSPORTAL_URL": portal.address,
                "OPSPORTAL_TOKEN": portal.token,
            }
    finally:
        portal.end()
        target.stop()


@pytest.mark.parametrize(("program", "promised"), [pytest.param(p, t, id=name) for name, p, t in programs()])
def test_a_program_of_the_page_prints_what_is_promised(
    surroundings: dict[str, str], tmp_path: Path, program: str, promised: str
) -> None:
    (tmp_path / "program.py").write_text(f"{NO_DJANGO}{beginning()}\n{program}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        env=surroundings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == (promised, "")
    assert done.returncode == 0
