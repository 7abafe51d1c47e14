"""An inventory with secrets in it, and everybody who may knock at the administration pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from automation.definitions.query import parse
from automation.definitions.schema import read_workflow
from automation.models import ApiToken, Group, HostKey, JobRun, Target, Workflow
from automation.submit import Submission, submit
from credentials.models import Credential
from credentials.secret import Secret
from tests.api.conftest import HOST_KEY, TOUCH, people

__all__ = ["people"]

PASSWORD = "Sesame-open-4711"
SUDO = "Sudo-only-0815"


@pytest.fixture
def admin(people: dict[str, User]) -> Client:
    client = Client()
    client.force_login(people["admin"])
    return client


@pytest.fixture
def credential(db: None) -> Credential:
    made = Credential(name="web login", kind="password", username="deploy")
    made.set_secrets(password=Secret(PASSWORD), become_password=Secret(SUDO))
    return made


@pytest.fixture
def target(credential: Credential) -> Target:
    made = Target.objects.create(
        name="web1", address="web1.example.org", environment="prod", credential=credential, tags=["web"]
    )
    made.groups.add(Group.objects.get_or_create(name="web")[0])
    return made


@pytest.fixture
def host_key(target: Target) -> HostKey:
    return HostKey.objects.saw(target, "ssh-ed25519", HOST_KEY, HostKey.State.PENDING)


@pytest.fixture
def run(target: Target, people: dict[str, User]) -> JobRun:
    """Waits for an approval."""
    workflow = read_workflow(TOUCH)
    version = Workflow.objects.publish(workflow.canonical(), text="name: touch-file", author=people["admin"])
    return submit(
        Submission(
            workflow=workflow,
            version=version,
            query=parse("web1"),
            submitter=people["admin"],
            parameters={"file": "/tmp/x"},
        )
    )


@pytest.fixture
def token(people: dict[str, User]) -> tuple[ApiToken, str]:
    return ApiToken.objects.issue(name="robot", user=people["operator"], kind="service", scopes=["runs:read"])
