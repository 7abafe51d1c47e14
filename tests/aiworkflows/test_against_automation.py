"""From the sentence to a planned run, with the real automation API on the other side of the transport."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from aiworkflows.client_errors import ConflictError, NotPermittedError
from aiworkflows.in_process import in_process_client
from aiworkflows.models import Proposal
from automation.models import ApiToken, Group, JobRun, Target
from tests.aiworkflows.conftest import Acting, MakePerson

pytestmark = pytest.mark.urls("tests.aiworkflows.real_portal")
URL = "/api/v1/proposals/"


@pytest.fixture
def inventory(db: None) -> None:
    group = Group.objects.create(name="web-servers")
    for number in (1, 2, 3):
        target = Target.objects.create(name=f"web-{number}", address="192.0.2.1", platform="linux")
        target.groups.add(group)


def ai_token(owner: User, *scopes: str) -> ApiToken:
    token, _ = ApiToken.objects.issue(name="helper", user=owner, kind="ai", scopes=list(scopes))
    return token


def test_update_nginx_on_web_servers_becomes_a_planned_run(
    inventory: None, person: MakePerson, acting: Acting
) -> None:
    api = acting(person("ann", "operator"))
    made = api.post(URL, {"request": "update nginx on web servers"}, format="json").json()
    assert (made["status"], made["targets"]) == ("ready", "group:web-servers")
    answer = api.post(f"{URL}{made['id']}/submit/", {"hold": True}, format="json")
    assert answer.status_code == 201, answer.json()
    run = JobRun.objects.get(pk=answer.json()["id"])
    assert run.status == "held"
    assert run.targets.count() == 3
    assert (run.source["proposal"], run.source["requested_by"]) == (made["id"], "ann")
    again = api.post(f"{URL}{made['id']}/submit/", {"hold": True}, format="json")
    assert again.json()["id"] == run.pk
    assert JobRun.objects.count() == 1


def test_a_token_that_may_propose_but_not_submit_cannot_submit_by_a_proposal(
    inventory: None, person: MakePerson, acting: Acting
) -> None:
    ann = person("ann", "admin")
    api = acting(ann, ai_token(ann, "proposals:write", "inventory:read"))
    made = api.post(URL, {"request": "update nginx on web servers"}, format="json").json()
    answer = api.post(f"{URL}{made['id']}/submit/", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope.token")
    assert Proposal.objects.get(pk=made["id"]).status == "ready"
    assert not JobRun.objects.exists()


def test_who_may_not_read_the_inventory_cannot_plan_by_it(
    inventory: None, person: MakePerson, acting: Acting
) -> None:
    ann = person("ann", "operator")
    answer = acting(ann, ai_token(ann, "proposals:write")).post(
        URL, {"request": "update nginx on web servers"}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "scope.token")
    assert Proposal.objects.get().status == "refused"


def test_the_client_reads_what_the_automation_api_answers(inventory: None, person: MakePerson) -> None:
    with in_process_client(person("ann", "operator")) as client:
        assert [target.groups for target in client.targets("name:web-1")] == [("web-servers",)]
        assert [group.name for group in client.groups()] == ["web-servers"]
        definition = {
            "name": "look",
            "steps": [{"name": "uptime", "effect": "read", "run": {"bash": "uptime"}}],
        }
        run = client.submit(definition, targets="all", hold=True, idempotency_key="k")
        assert client.submit(definition, targets="all", hold=True, idempotency_key="k").id == run.id
        with pytest.raises(ConflictError):
            client.submit(definition, targets="name:web-1", hold=True, idempotency_key="k")
        assert client.status(run.id).status == "held"
        assert {(row.target, row.state) for row in client.results(run.id)} == {
            (f"web-{number}", "pending") for number in (1, 2, 3)
        }
        with pytest.raises(ConflictError):
            client.start(run.id, "0" * 64)
        assert client.cancel(run.id).status == "cancelled"
        assert client.wait(run.id, 1).final
        seqs = [event.seq for event in client.events(run.id)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert b"".join(client.logs(run.id, "web-1", "uptime", follow=True)) == b""
        with pytest.raises(NotPermittedError):
            client.approve(run.id, run.plan_hash)


@pytest.mark.urls("opsportal.urls")
def test_a_bearer_token_opens_the_proposals_of_the_portal(
    inventory: None, person: MakePerson, client: Client
) -> None:
    scopes = ["proposals:write", "inventory:read"]
    _, text = ApiToken.objects.issue(name="cli", user=person("ann", "operator"), kind="person", scopes=scopes)
    answer = client.post(
        URL,
        {"request": "update nginx on web servers"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {text}"},
    )
    assert (answer.status_code, answer.json()["status"]) == (201, "ready")
    assert client.post(URL, {"request": "x"}, content_type="application/json").status_code == 401
