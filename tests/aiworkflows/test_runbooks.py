"""The catalogue: every runbook is a valid workflow, found by its own examples, and safe to run twice."""

import subprocess
from pathlib import Path

import pytest
import tree_sitter_pwsh
import yaml
from tree_sitter import Language, Parser

from aiworkflows.planners.runbooks import CATALOGUE, RunbookError, load_runbook, load_runbooks
from automation.definitions.schema import Workflow, load_workflow, missing_bodies, read_workflow

RUNBOOKS = load_runbooks()
NAMES = sorted(RUNBOOKS)
READS = {
    "certificate-expiry",
    "check-service",
    "collect-facts",
    "disk-usage",
    "installed-updates",
    "logged-in-users",
    "open-ports",
    "search-log",
    "tail-event-log",
    "tail-log",
    "time-sync",
    "uptime-load",
    "who-has-sudo",
}
CHANGES = {
    "enable-service",
    "hold-package",
    "install-package",
    "patch-all-packages",
    "reboot",
    "reload-service",
    "restart-iis-site",
    "restart-service",
    "security-updates",
    "start-service",
    "stop-service",
    "update-application",
    "update-package",
}
# What they take away does not come back by itself.
DESTRUCTIVE = {"free-disk-space", "remove-package"}
TIERS = dict.fromkeys(READS, "read") | dict.fromkeys(CHANGES, "change")
TIERS |= dict.fromkeys(DESTRUCTIVE, "destructive")


def workflow_of(name: str) -> Workflow:
    return read_workflow(RUNBOOKS[name].definition, origin=name)


def test_the_catalogue_has_these_runbooks() -> None:
    assert set(NAMES) == set(TIERS)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_has_twenty_different_examples_and_a_title(name: str) -> None:
    runbook = RUNBOOKS[name]
    assert len(set(runbook.examples)) >= 20
    assert runbook.title
    assert runbook.summary


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_is_a_valid_workflow(name: str) -> None:
    assert workflow_of(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_truly_whether_it_changes_anything(name: str) -> None:
    assert workflow_of(name).tier == TIERS[name]


@pytest.mark.parametrize("name", sorted(CHANGES | DESTRUCTIVE))
def test_a_changing_runbook_starts_with_one_canary_and_verifies(name: str) -> None:
    workflow = workflow_of(name)
    assert workflow.rollout is not None
    assert workflow.rollout.canary == 1
    assert workflow.steps[-1].verify is not None


def test_updating_a_package_rolls_out_in_batches_and_undoes_itself() -> None:
    rollout = workflow_of("update-package").rollout
    assert rollout is not None
    assert (rollout.canary, rollout.max_parallel, rollout.on_failure) == (1, 50, "undo")
    assert len(rollout.batches) == 2
    assert workflow_of("update-package").steps[-1].undo is not None


@pytest.mark.parametrize("name", NAMES)
def test_the_bash_of_a_runbook_has_no_syntax_errors(name: str) -> None:
    for step in RUNBOOKS[name].definition["steps"]:
        for body in ("check", "run", "verify", "undo"):
            script = step.get(body, {}).get("bash")
            if script:
                done = subprocess.run(
                    ["bash", "-n"], input=script, text=True, capture_output=True, check=False
                )
                assert done.returncode == 0, (step["name"], body, done.stderr)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_for_windows_has_every_body_in_powershell_without_syntax_errors(name: str) -> None:
    workflow = workflow_of(name)
    scripts = [
        bodies.powershell
        for step in workflow.steps
        for kind in ("check", "run", "verify", "undo")
        if (bodies := step.bodies(kind)) is not None
    ]
    if any(scripts):
        assert missing_bodies(workflow, {"windows"}) == []
    parser = Parser(Language(tree_sitter_pwsh.language()))
    for script in filter(None, scripts):
        assert not parser.parse(script.encode()).root_node.has_error, script


@pytest.mark.parametrize(
    "name", ["update-package", "patch-all-packages", "install-package", "remove-package", "security-updates"]
)
def test_an_update_never_asks_and_waits_for_the_lock(name: str) -> None:
    for step in RUNBOOKS[name].definition["steps"]:
        for body in ("run", "undo"):
            script = step.get(body, {}).get("bash", "")
            if "apt-get -q -y" in script:
                assert "DEBIAN_FRONTEND=noninteractive" in script
                assert "DPkg::Lock::Timeout=60" in script


@pytest.mark.parametrize("name", ["update-package", "patch-all-packages"])
def test_an_update_refreshes_the_lists_before_it_records_and_records_before_it_updates(name: str) -> None:
    steps = [step["name"] for step in RUNBOOKS[name].definition["steps"]]
    assert steps[:2] == ["refresh the package lists", "record the installed versions"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"examples": ["only one"]}, "examples"),
        ({"slots": {"colour": {"kind": "package"}}}, "slot"),
        ({"title": None, "workflow": {}}, "KeyError"),
    ],
)
def test_a_runbook_with_something_missing_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    data = yaml.safe_load((CATALOGUE / "restart-service.yaml").read_text())
    file = tmp_path / "restart-service.yaml"
    file.write_text(yaml.safe_dump({**data, **change}))
    with pytest.raises(RunbookError, match=rf"restart-service\.yaml.*{message}"):
        load_runbook(file)


def test_a_word_that_yaml_takes_for_true_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "restart-service.yaml"
    file.write_text((CATALOGUE / "restart-service.yaml").read_text().replace("verbs: [", "verbs: [on, "))
    with pytest.raises(RunbookError, match=r"restart-service\.yaml.*quote it"):
        load_runbook(file)


def test_a_runbook_whose_file_has_another_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text((CATALOGUE / "restart-service.yaml").read_text())
    with pytest.raises(RunbookError, match="is called restart-service"):
        load_runbook(file)


def test_the_workflow_part_of_a_file_stands_alone_as_yaml() -> None:
    data = yaml.safe_load((CATALOGUE / "update-package.yaml").read_text())
    assert load_workflow(yaml.safe_dump(data["workflow"])).name == "update-package"
