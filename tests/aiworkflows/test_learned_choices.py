"""What people chose is learned: it raises a runbook for alike requests, and never says where."""

import pytest
from django.test import Client

from aiworkflows.inventory import Inventory
from aiworkflows.models import LearnedChoice, Proposal
from aiworkflows.planners.catalogue import CataloguePlanner
from aiworkflows.planners.contract import Learned
from tests.aiworkflows.conftest import Acting, MakePerson, Token
from tests.aiworkflows.fake_portal import Automation

URL = "/api/v1/proposals/"
REQUEST = "give nginx some love on web servers"
PLANNER = CataloguePlanner()
INVENTORY = Inventory(groups=("web servers", "db-servers"), targets=("web-1", "db-1"))


def learned_from(request: str, runbook: str, *, times: int = 3) -> Learned:
    return Learned(PLANNER.plan(request, INVENTORY).words, runbook, times)


def score(request: str, runbook: str, *learned: Learned) -> float:
    made = PLANNER.plan(request, INVENTORY, learned=learned)
    return next((each.score for each in made.alternatives if each.runbook == runbook), 0.0)


def test_a_choice_raises_its_runbook_for_alike_requests_and_for_no_others() -> None:
    choice = learned_from(REQUEST, "reload-service")
    alike, other = "give haproxy some love on db-1", "how full are the disks on web-1"
    assert score(alike, "reload-service", choice) > score(alike, "reload-service") + 0.2
    assert score(other, "reload-service", choice) == score(other, "reload-service")


def test_one_more_choice_raises_more() -> None:
    once, often = (learned_from(REQUEST, "reload-service", times=times) for times in (1, 5))
    assert score(REQUEST, "reload-service", often) > score(REQUEST, "reload-service", once) > 0.2


def test_neither_targets_nor_software_are_learned() -> None:
    words = learned_from(
        "restart nginx on web-1, the db servers and the frontend boxes", "restart-service"
    ).words
    assert not {"nginx", "web-1", "db", "frontend"} & set(words.split())
    assert "software-name" in words


def test_nothing_learned_opens_what_is_refused() -> None:
    choice = Learned("wipe the disks", "free-disk-space", 50)
    assert PLANNER.plan("wipe the disks on web-1", INVENTORY, learned=[choice]).status == "refused"


@pytest.mark.django_db
@pytest.mark.urls("tests.aiworkflows.fake_portal")
def test_a_person_teaches_by_choosing_and_by_submitting_and_a_program_does_not(
    automation: Automation, person: MakePerson, acting: Acting
) -> None:
    olivia = person("olivia", "operator")
    for api, times in ((acting(olivia, Token("proposals:write")), 0), (acting(olivia), 2)):
        made = api.post(URL, {"request": "check nginx on web servers"}).json()
        chosen = api.patch(f"{URL}{made['id']}/", {"runbook": "restart-service"}).json()
        assert chosen["status"] == "ready"
        assert api.post(f"{URL}{made['id']}/submit/").status_code == 201
        assert sum(row.times for row in LearnedChoice.objects.all()) == times
    [row] = LearnedChoice.objects.all()
    assert (row.runbook, row.words) == ("restart-service", "check software-name")


@pytest.mark.django_db
def test_an_administrator_sees_and_deletes_what_was_learned_and_nobody_else(
    client: Client, person: MakePerson
) -> None:
    LearnedChoice.objects.learn("give software-name some love", "reload-service")
    row = LearnedChoice.objects.get()
    client.force_login(person("olivia", "operator"))
    assert client.get("/admin/aiworkflows/learnedchoice/", follow=True).status_code == 403
    client.force_login(person("adam", "admin"))
    assert b"some love" in client.get("/admin/aiworkflows/learnedchoice/").content
    client.post(f"/admin/aiworkflows/learnedchoice/{row.pk}/delete/", {"post": "yes"})
    assert not LearnedChoice.objects.exists()


@pytest.mark.django_db
def test_the_same_choice_is_one_row_that_counts() -> None:
    for _ in range(3):
        LearnedChoice.objects.learn("a b", "disk-usage")
    LearnedChoice.objects.learn("", "disk-usage")
    assert [each.times for each in LearnedChoice.objects.newest()] == [3]
    assert not Proposal.objects.exists()
