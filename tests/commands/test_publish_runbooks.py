"""`manage.py publish_runbooks`."""

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from aiworkflows.planners.runbooks import load_runbooks
from automation.definitions.schema import load_workflow
from automation.models import Workflow, WorkflowVersion

pytestmark = pytest.mark.django_db
NAMES = {str(runbook.definition["name"]) for runbook in load_runbooks().values()}
MINE = "name: package-update\nsteps: [{name: mine, effect: read, run: {bash: 'true'}}]\n"


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada")


def publish(*arguments: str) -> str:
    said = StringIO()
    call_command("publish_runbooks", "--author", "ada", *arguments, stdout=said)
    return said.getvalue()


def test_every_runbook_becomes_a_workflow_in_the_name_of_its_author(ada: User) -> None:
    publish()
    versions = WorkflowVersion.objects.all()
    assert {version.workflow.name for version in versions} == NAMES
    assert {(version.number, version.author) for version in versions} == {(1, ada)}


def test_a_second_time_nothing_changes(ada: User) -> None:
    publish()
    assert publish() == f"There already: {len(NAMES)}.\n"
    assert WorkflowVersion.objects.count() == len(NAMES)


def test_somebodys_own_workflow_of_that_name_stays_unless_asked_otherwise(ada: User) -> None:
    name = sorted(NAMES)[0]
    text = MINE.replace("package-update", name)
    Workflow.objects.publish(load_workflow(text).canonical(), text=text, author=ada)
    assert f"for they differ: {name}." in publish()
    assert WorkflowVersion.objects.filter(workflow__name=name).count() == 1
    assert publish("--update").startswith(f"Published: {name}.")
    assert WorkflowVersion.objects.filter(workflow__name=name).count() == 2


def test_an_unknown_author_is_told() -> None:
    with pytest.raises(CommandError, match="There is no user 'ada'"):
        publish()
