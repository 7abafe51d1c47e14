"""Workflows to a folder for git, and back."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from automation.definitions.schema import load_workflow
from automation.models import Workflow, WorkflowVersion
from tests.definitions.samples import SMALL, UPDATE_PACKAGE

pytestmark = pytest.mark.django_db


def publish(text: str, *, as_text: str | None = None) -> None:
    definition = load_workflow(text).canonical()
    Workflow.objects.publish(definition, text=text if as_text is None else as_text, author=None)


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "workflows"


def test_a_round_trip_changes_nothing(folder: Path) -> None:
    publish(UPDATE_PACKAGE)
    publish(SMALL, as_text='{"name": "small"}')
    before = list(WorkflowVersion.objects.values("workflow__name", "number", "definition", "text"))
    run("export_workflows", str(folder))
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert files["update-package.yaml"].decode() == UPDATE_PACKAGE
    assert "Published 0, 2 unchanged." in run("import_workflows", str(folder))
    assert list(WorkflowVersion.objects.values("workflow__name", "number", "definition", "text")) == before
    assert "0 written" in run("export_workflows", str(folder))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files


def test_an_empty_portal_takes_the_folder_as_it_is(folder: Path) -> None:
    publish(UPDATE_PACKAGE)
    run("export_workflows", str(folder))
    stored = WorkflowVersion.objects.get()
    WorkflowVersion.objects.all().delete()
    Workflow.objects.all().delete()
    User.objects.create_user("alice")
    assert "update-package: new" in run("import_workflows", str(folder), "--author", "alice")
    version = WorkflowVersion.objects.get()
    assert (version.definition, version.text, version.number) == (stored.definition, stored.text, 1)
    assert version.author and version.author.username == "alice"


def test_an_edited_file_becomes_the_next_version(folder: Path) -> None:
    publish(SMALL)
    run("export_workflows", str(folder))
    (folder / "small.yaml").write_text(SMALL.replace("'true'", "'date'"))
    assert "Would publish 1, 0 unchanged." in run("import_workflows", str(folder), "--dry-run")
    assert WorkflowVersion.objects.count() == 1
    run("import_workflows", str(folder))
    assert WorkflowVersion.objects.count() == 2


def test_one_wrong_file_and_nothing_is_imported(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.yaml").write_text(SMALL)
    (folder / "b.yaml").write_text(SMALL.replace("steps:", "stepps:"))
    (folder / "c.yaml").write_text(SMALL)
    with pytest.raises(CommandError) as caught:
        run("import_workflows", str(folder))
    assert "b.yaml, line 2: stepps: unknown key; did you mean 'steps'?" in str(caught.value)
    assert "c.yaml: the workflow small is in a.yaml already" in str(caught.value)
    assert not Workflow.objects.exists()


def test_what_is_no_folder_or_has_nothing_in_it_is_told(folder: Path) -> None:
    for told in ("is no folder", "There is no .yaml"):
        with pytest.raises(CommandError, match=told):
            run("import_workflows", str(folder))
        folder.mkdir(exist_ok=True)
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        run("import_workflows", str(folder), "--author", "nobody")
