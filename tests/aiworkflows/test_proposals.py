"""Proposals: the model's rules, and the API from a sentence to a run."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from aiworkflows.models import Proposal, ProposalStateError
from aiworkflows.planners.contract import Plan
from tests.aiworkflows.automation_stub import Asked, Reply, automation_stub, free_port
from tests.aiworkflows.conftest import Acting, MakePerson, Token
from tests.aiworkflows.fake_portal import Automation

pytestmark = pytest.mark.urls("tests.aiworkflows.fake_portal")
URL = "/api/v1/proposals/"
READY = Plan(
    "ready", runbook="update-package", definition={"name": "x"}, targets="all", parameters={"a": "b"}
)


def proposal_of(author: User, plan: Plan = READY) -> Proposal:
    made = Proposal.objects.create(request="update nginx on all servers", author=author)
    made.planned(plan, planner="catalogue", model=None)
    return made


# -- the model ---------------------------------------------------------------------------------------------


def test_a_new_proposal_is_being_planned(person: MakePerson) -> None:
    assert Proposal.objects.create(request="x", author=person("ann")).status == "planning"


def test_a_submitted_proposal_takes_no_answers_no_plan_and_no_second_run(person: MakePerson) -> None:
    made = proposal_of(person("ann"))
    made.submitted(5)
    with pytest.raises(ProposalStateError):
        made.take_answers(targets="all")
    with pytest.raises(ProposalStateError):
        made.planned(READY, planner="catalogue", model=None)
    with pytest.raises(ProposalStateError):
        made.submitted(6)
    made.refresh_from_db()
    assert (made.status, made.run) == ("submitted", 5)


@pytest.mark.parametrize("status", ["needs_answer", "refused"])
def test_only_a_ready_proposal_can_be_submitted(person: MakePerson, status: str) -> None:
    made = proposal_of(person("ann"), Plan(status))  # type: ignore[arg-type]
    with pytest.raises(ProposalStateError, match=status):
        made.submitted(5)


def test_choosing_another_runbook_forgets_the_parameters_of_the_last(person: MakePerson) -> None:
    made = proposal_of(person("ann"))
    made.take_answers(parameters={"package": "nginx"}, targets="all")
    made.take_answers(runbook="disk-usage")
    assert made.answers == {"runbook": "disk-usage", "targets": "all", "parameters": {}}


def test_an_author_sees_his_own_and_a_role_sees_all(person: MakePerson) -> None:
    ann, bob = person("ann"), person("bob")
    mine, his = proposal_of(ann), proposal_of(bob)
    assert set(Proposal.objects.visible_to(ann)) == {mine}
    for role in ("viewer", "operator", "approver", "admin"):
        assert set(Proposal.objects.visible_to(person(role, role))) == {mine, his}
    assert not Proposal.objects.visible_to(AnonymousUser()).exists()
    ann.is_active = False
    assert not Proposal.objects.visible_to(ann).exists()


def test_the_source_of_a_run_names_the_sentence_and_who_typed_it(person: MakePerson) -> None:
    made = proposal_of(person("ann"))
    assert made.source == {
        "kind": "catalogue",
        "prompt": "update nginx on all servers",
        "proposal": made.pk,
        "requested_by": "ann",
    }
    made.model = "some-model"
    assert (made.source["kind"], made.source["model"]) == ("ai", "some-model")


# -- the API -----------------------------------------------------------------------------------------------


def test_a_sentence_becomes_a_ready_proposal_by_what_its_author_may_see(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    ann = person("ann", "operator")
    answer = acting(ann).post(URL, {"request": "update nginx on web servers"}, format="json")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["status"], body["author"], body["planner"]) == ("ready", "ann", "catalogue")
    assert body["targets"] == 'group:"web servers"'
    assert body["parameters"] == {"package": "nginx", "service": "nginx"}
    assert body["definition"]["name"] == "update-package"
    assert len(body["alternatives"]) == 3
    assert {str(seen["principal"]) for seen in automation.seen} == {"ann"}


def test_a_question_is_answered_with_a_patch(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    api = acting(person("ann", "operator"))
    body = api.post(URL, {"request": "update nginx on frontend"}, format="json").json()
    assert (body["status"], body["questions"][0]["slot"]) == ("needs_answer", "targets")
    body = api.patch(f"{URL}{body['id']}/", {"targets": 'group:"web servers"'}, format="json").json()
    assert (body["status"], body["questions"], body["targets"]) == ("ready", [], 'group:"web servers"')


def test_an_alternative_is_chosen_with_a_patch(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    api = acting(person("ann", "operator"))
    body = api.post(URL, {"request": "check nginx on web servers"}, format="json").json()
    body = api.patch(f"{URL}{body['id']}/", {"runbook": "restart-service"}, format="json").json()
    assert (body["status"], body["runbook"]) == ("ready", "restart-service")
    assert body["definition"]["name"] == "restart-service"


def test_submitting_makes_a_run_as_the_asking_principal_with_his_token(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    ann, bob = person("ann", "operator"), person("bob", "operator")
    token = Token("proposals:write", "runs:submit")
    made = acting(ann).post(URL, {"request": "update nginx on web servers"}, format="json").json()
    answer = acting(bob, token).post(f"{URL}{made['id']}/submit/", {"hold": True}, format="json")
    assert (answer.status_code, answer.json()["id"]) == (201, 40)
    seen = automation.seen[-1]
    assert (seen["principal"], seen["auth"]) == (bob, token)
    assert seen["key"].startswith(f"proposal-{made['id']}-")
    assert seen["body"]["source"]["requested_by"] == "ann"
    assert seen["body"]["definition"] == made["definition"]
    assert (seen["body"]["targets"], seen["body"]["hold"]) == ('group:"web servers"', True)
    stored = Proposal.objects.get(pk=made["id"])
    assert (stored.status, stored.run) == ("submitted", 40)


def test_submitting_again_gives_the_same_run(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    api = acting(person("ann", "operator"))
    made = api.post(URL, {"request": "update nginx on web servers"}, format="json").json()
    first = api.post(f"{URL}{made['id']}/submit/", {}, format="json").json()
    again = api.post(f"{URL}{made['id']}/submit/", {}, format="json").json()
    assert first["id"] == again["id"]
    assert len(automation.runs) == 1


def test_a_refusal_of_the_automation_service_is_said_on_and_leaves_the_proposal_ready(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    api = acting(person("ann", "operator"))
    made = api.post(URL, {"request": "update nginx on web servers"}, format="json").json()
    automation.problem = {
        "status": 403,
        "code": "policy.denied",
        "detail": "There is a freeze.",
        "errors": [{"field": "targets", "message": "web-1"}],
    }
    answer = api.post(f"{URL}{made['id']}/submit/", {}, format="json")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["detail"]) == ("policy.denied", "There is a freeze.")
    assert answer.json()["errors"] == [{"field": "targets", "message": "web-1"}]
    assert Proposal.objects.get(pk=made["id"]).status == "ready"


@pytest.mark.parametrize("request_text", ["update nginx on frontend", "format all disks on web servers"])
def test_what_is_not_ready_is_not_submitted(
    automation: Automation, person: MakePerson, acting: Acting, request_text: str
) -> None:
    api = acting(person("ann", "operator"))
    made = api.post(URL, {"request": request_text}, format="json").json()
    answer = api.post(f"{URL}{made['id']}/submit/", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "proposal.state")
    assert not automation.runs


def test_a_refused_request_says_why(automation: Automation, person: MakePerson, acting: Acting) -> None:
    api = acting(person("ann", "operator"))
    body = api.post(URL, {"request": "delete the database"}, format="json").json()
    assert body["status"] == "refused"
    assert "destroy" in body["reason"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"request": ""},
        {"request": "x" * 1001},
        {"request": 7, "status": "ready"},
        {"request": "update nginx on web servers", "definition": {"name": "evil"}},
    ],
)
def test_a_request_is_one_sentence_of_a_thousand_characters_and_nothing_else(
    automation: Automation, person: MakePerson, acting: Acting, body: dict[str, object]
) -> None:
    assert acting(person("ann", "operator")).post(URL, body, format="json").status_code == 400
    assert not Proposal.objects.exists()


@pytest.mark.parametrize(
    "body", [{"status": "ready"}, {"parameters": {"colour": "red"}}, {"runbook": "nope"}, {"run": 5}]
)
def test_a_patch_answers_questions_and_nothing_else(
    automation: Automation, person: MakePerson, acting: Acting, body: dict[str, object]
) -> None:
    api = acting(person("ann", "operator"))
    made = api.post(URL, {"request": "update nginx on web servers"}, format="json").json()
    assert api.patch(f"{URL}{made['id']}/", body, format="json").status_code == 400
    assert api.get(f"{URL}{made['id']}/").json() == made


@pytest.mark.parametrize("role", [None, "viewer", "approver"])
def test_without_the_right_role_nothing_is_written(
    automation: Automation, person: MakePerson, acting: Acting, role: str | None
) -> None:
    made = proposal_of(person("ann"))
    api = acting(person("eve", role))
    assert api.post(URL, {"request": "x"}, format="json").status_code == 403
    assert api.patch(f"{URL}{made.pk}/", {"targets": "all"}, format="json").status_code == 403
    assert api.post(f"{URL}{made.pk}/submit/", {}, format="json").status_code == 403
    assert api.get(f"{URL}{made.pk}/").status_code == (200 if role else 404)


@pytest.mark.parametrize("token", [Token(), Token("runs:read"), object()])
def test_a_token_without_the_scope_writes_nothing_whatever_its_owner_may(
    automation: Automation, person: MakePerson, acting: Acting, token: object
) -> None:
    answer = acting(person("ann", "admin"), token).post(URL, {"request": "x"}, format="json")
    assert answer.status_code == 403


def test_a_stranger_gets_nothing(db: None, client: Client) -> None:
    assert client.get(URL).status_code in {401, 403}


def test_the_list_shows_what_may_be_seen_newest_first(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    ann = person("ann")
    mine = [proposal_of(ann).pk for _ in range(3)]
    proposal_of(person("bob"))
    body = acting(ann).get(URL).json()
    assert set(body) == {"next", "previous", "results"}
    assert [row["id"] for row in body["results"]] == mine[::-1]


def test_an_automation_service_elsewhere_is_asked_with_its_own_token(
    person: MakePerson, acting: Acting, settings: Any
) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path == "/api/v1/runs/":
            return Reply(201, {"id": 9, "status": "awaiting_approval"})
        rows = [{"id": 1, "name": "web servers"}] if asked.path == "/api/v1/groups/" else []
        return Reply(200, {"next": None, "previous": None, "results": rows})

    with automation_stub(script) as stub:
        settings.AUTOMATION_URL, settings.AUTOMATION_TOKEN = stub.url, "ops_elsewhere"
        api = acting(person("ann", "operator"))
        made = api.post(URL, {"request": "update nginx on web servers"}, format="json").json()
        run = api.post(f"{URL}{made['id']}/submit/", {}, format="json").json()
    assert run["id"] == 9
    assert {asked.headers["Authorization"] for asked in stub.asked} == {"Bearer ops_elsewhere"}
    assert stub.asked[-1].body["source"]["requested_by"] == "ann"


def test_an_automation_service_that_is_away_is_a_503_and_the_proposal_says_so(
    person: MakePerson, acting: Acting, settings: Any
) -> None:
    settings.AUTOMATION_URL, settings.AUTOMATION_TIMEOUT = f"http://127.0.0.1:{free_port()}", 0.3
    answer = acting(person("ann", "operator")).post(URL, {"request": "update nginx on web"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "connect.failed")
    assert Proposal.objects.get().status == "refused"
