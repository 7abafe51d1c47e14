"""The script `ops`, with a Python environment that only writes down what it is asked to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PYTHON = '#!/bin/sh\necho "$(basename "$0") $*" >>"{log}"\n'


class Clone:
    """A copy of the project's front door, in a directory with a space in its name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "a clone"
        self.directory.mkdir()
        for name in ("ops", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.directory)
        self.log = directory / "log"
        self.bin = self.directory / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        for name in ("python", "ruff", "mypy"):
            tool = self.bin / name
            tool.write_text(PYTHON.format(log=self.log))
            tool.chmod(0o755)

    def ops(
        self, *arguments: str, cwd: Path = Path("/"), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "OPSPORTAL_VENV"}
        return subprocess.run(
            [self.directory / "ops", *arguments],
            cwd=cwd,
            env={**inherited, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[str]:
        calls = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return calls


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_up_installs_once_and_again_only_when_requirements_change(clone: Clone) -> None:
    manage = f"python {clone.directory}/manage.py up --port 1"
    assert clone.ops("up", "--port", "1").returncode == 0
    install, then = clone.calls()
    assert install.startswith("python -m pip install")
    assert install.endswith("requirements.txt")
    assert then == manage
    clone.ops("up", "--port", "1")
    assert clone.calls() == [manage]
    with (clone.directory / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    clone.ops("up", "--port", "1")
    assert len(clone.calls()) == 2


def test_a_failed_installation_is_tried_again(clone: Clone) -> None:
    (clone.bin / "python").write_text("#!/bin/sh\nexit 1\n")
    assert clone.ops("up").returncode != 0
    assert not list((clone.directory / ".venv").glob(".opsportal-*"))


def test_manage_passes_arguments_on_and_keeps_the_working_directory(clone: Clone, tmp_path: Path) -> None:
    (clone.bin / "python").write_text(
        f'#!/bin/sh\npwd >>"{clone.log}"\nprintf "%s\\n" "$@" >>"{clone.log}"\n'
    )
    clone.ops("manage", "import_inventory", "my hosts.json", cwd=tmp_path)
    assert clone.calls()[-4:] == [
        str(tmp_path),
        f"{clone.directory}/manage.py",
        "import_inventory",
        "my hosts.json",
    ]


def test_the_command_line_keeps_the_working_directory_and_the_exit_code(clone: Clone, tmp_path: Path) -> None:
    (clone.bin / "python").write_text(
        f'#!/bin/sh\n[ "$2" = pip ] && exit\npwd >>"{clone.log}"\n'
        f'echo "$PYTHONPATH" >>"{clone.log}"\nprintf "%s\\n" "$@" >>"{clone.log}"\nexit 2\n'
    )
    ended = clone.ops("cli", "run", "my work.yaml", cwd=tmp_path, PYTHONPATH="")
    assert ended.returncode == 2
    wanted = [str(tmp_path), str(clone.directory), "-m", "opsportal.commandline", "run", "my work.yaml"]
    assert clone.calls() == wanted


def test_test_runs_lint_types_and_everything(clone: Clone) -> None:
    assert clone.ops("test").returncode == 0
    # The tests run side by side with each other and with the lint: any may be the first.
    calls = clone.calls()
    tests = sorted(call for call in calls if call.startswith("python -m pytest"))
    lint = [call for call in calls if call not in tests]
    assert [call.split()[0] for call in lint] == ["python", "ruff", "ruff", "mypy", "python"]
    rest, targets, browser, postgresql = tests
    on_targets = targets.split()[3:]
    assert rest.split()[3:] == [f"--ignore={folder}" for folder in on_targets]
    assert "tests/acceptance" in on_targets
    assert browser == "python -m pytest tests/browser"
    assert postgresql.startswith("python -m pytest tests/on_postgresql ")


def test_a_failure_on_real_targets_is_told(clone: Clone) -> None:
    python = clone.bin / "python"
    python.write_text(python.read_text() + 'case "$*" in "-m pytest tests/acceptance"*) exit 1 ;; esac\n')
    assert clone.ops("test").returncode == 1


def test_the_browser_tests_run_also_after_others_failed_and_the_failure_is_told(clone: Clone) -> None:
    python = clone.bin / "python"
    python.write_text(python.read_text() + 'case "$*" in "-m pytest --ignore"*) exit 1 ;; esac\n')
    assert clone.ops("test").returncode == 1
    assert "python -m pytest tests/browser" in clone.calls()


def test_test_with_arguments_runs_those_tests_only(clone: Clone) -> None:
    clone.ops("test", "tests/x.py", "-k", "a or b")
    assert clone.calls()[1:] == ["python -m pytest tests/x.py -k a or b"]


def test_test_on_postgresql_runs_all_that_is_not_in_a_browser_or_those_that_are_named(clone: Clone) -> None:
    clone.ops("test", "--database", "postgresql")
    clone.ops("test", "--database", "postgresql", "tests/x.py")
    wanted = ["python -m pytest tests tests/on_postgresql", "python -m pytest tests/x.py"]
    assert [call for call in clone.calls() if "-m pytest" in call] == wanted
    assert clone.ops("test", "--database", "oracle").returncode == 1


def test_chaos_passes_its_arguments_on(clone: Clone) -> None:
    clone.ops("chaos", "200", "--seed", "7")
    assert clone.calls()[1:] == ["python -m tests.acceptance.chaos 200 --seed 7"]


def test_demo_passes_its_arguments_on(clone: Clone) -> None:
    clone.ops("demo", "--once", "--port", "3103")
    assert clone.calls()[1:] == [f"python {clone.directory}/manage.py demo --once --port 3103"]


def test_an_environment_elsewhere_can_be_used(clone: Clone, tmp_path: Path) -> None:
    shutil.move(clone.directory / ".venv", tmp_path / "kept")
    assert clone.ops("manage", "check", OPSPORTAL_VENV=str(tmp_path / "kept")).returncode == 0
    assert not (clone.directory / ".venv").exists()


@pytest.mark.parametrize("arguments", [[], ["frobnicate"]])
def test_anything_else_tells_the_usage(clone: Clone, arguments: list[str]) -> None:
    result = clone.ops(*arguments)
    assert result.returncode == 2
    assert "./ops up" in result.stderr
    assert clone.calls() == []


def test_missing_packages_are_named_in_a_line_to_type(clone: Clone, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cksum", "basename"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    (tools / "id").chmod(0o755)
    script = clone.directory / "ops"
    script.write_text(script.read_text().replace("PATH=$PATH:/usr/sbin:/sbin\n", ""))
    result = clone.ops("test", PATH=str(tools))
    assert result.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends " in result.stderr
    assert " tcsh" in result.stderr
    assert clone.calls() == []
