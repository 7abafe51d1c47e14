"""A start that cannot succeed says in words what is wrong and what to do, and changes nothing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from opsportal.data_directory import prepare, read_env_file
from tests.bad_input.full_disk import disk, fill
from tests.opsportal.portal import MANAGE, free_port, product_environment

pytestmark = pytest.mark.sqlite
SEED = """
from django.core.management import call_command
from opsportal.start_checks import require_keys
call_command("migrate", verbosity=0)
require_keys()
"""


def start(data: Path) -> str:
    """What `up` says when it refuses to start; it must not be a traceback."""
    done = subprocess.run(
        [sys.executable, MANAGE, "up", "--port", str(free_port())],
        env=product_environment(data),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of a portal that was started before."""
    data = tmp_path_factory.mktemp("installed") / "data"
    prepare(data, {})
    command = [sys.executable, str(MANAGE), "shell", "--no-imports", "-c", SEED]
    subprocess.run(command, env=product_environment(data), check=True, timeout=120)
    return data


@pytest.fixture
def keys(installed: Path) -> Iterator[Path]:
    """The file of its keys, which comes back when the test is over."""
    file = installed / ".env"
    before = file.read_bytes()
    yield file
    file.write_bytes(before)
    file.chmod(0o600)


def digest(data: Path) -> str:
    return hashlib.sha256((data / "opsportal.sqlite3").read_bytes()).hexdigest()


def test_another_encryption_key_is_refused_with_the_way_back(installed: Path, keys: Path) -> None:
    right = read_env_file(installed)["OPSPORTAL_ENCRYPTION_KEYS"]
    wrong = Fernet.generate_key().decode()
    keys.write_text(keys.read_text().replace(right, wrong))
    before = digest(installed)
    said = start(installed)
    assert "OPSPORTAL_ENCRYPTION_KEYS" in said
    assert right not in said and wrong not in said
    assert digest(installed) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param("remove", "put the keys back from a backup", id="no file of keys"),
        pytest.param("strip", "OPSPORTAL_ENCRYPTION_KEYS is not set", id="no key in the file"),
        pytest.param("break", "is not a Fernet key", id="half a key"),
    ],
)
def test_a_missing_or_broken_key_is_refused_with_the_way_back(
    installed: Path, keys: Path, change: str, says: str
) -> None:
    lines = keys.read_text().splitlines()
    match change:
        case "remove":
            keys.unlink()
        case "strip":
            keys.write_text("\n".join(line for line in lines if "ENCRYPTION" not in line))
        case _:
            keys.write_text("\n".join(line[:-9] if "ENCRYPTION" in line else line for line in lines))
    before = digest(installed)
    assert says in start(installed)
    assert digest(installed) == before


@pytest.mark.hosts
@pytest.mark.parametrize("room", [0, 8192], ids=["none", "for keys alone"])
def test_a_full_disk_is_named(tmp_path: Path, room: int) -> None:
    with disk(tmp_path / "data", "4m") as data:
        with (data / "filler").open("wb", buffering=0) as file:
            fill(file.fileno(), b"x" * 4096)
            file.truncate(max(0, file.tell() - room))
        said = start(data)
        assert "disk is full" in said
        assert str(data) in said
