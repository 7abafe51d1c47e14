"""From a sentence in the browser to a held run."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from aiworkflows.models import Proposal
from aiworkflows.templatetags.proposals import EXAMPLES
from automation.models import JobRun
from tests.dashboard.people import browser_of, person, targets

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    targets("web-1", "web-2", environment="prod", group="web servers")
    targets("db-1", group="db")
    return person("ann", "operator")


@pytest.fixture
def browser(ann: User) -> Client:
    return browser_of(ann)


def asked(browser: Client, sentence: str) -> Proposal:
    answer = browser.post("/ask/", {"request": sentence})
    made = Proposal.objects.get()
    assert answer.headers["Location"] == f"/proposals/{made.pk}/"
    return made


def page_of(browser: Client, made: Proposal) -> str:
    return browser.get(f"/proposals/{made.pk}/").content.decode()


def answered(browser: Client, made: Proposal, **typed: Any) -> Any:
    fields = {key.replace("__", "."): value for key, value in typed.items()}
    return browser.post(f"/proposals/{made.pk}/answer/", fields)


def test_a_sentence_becomes_a_proposal_that_says_what_was_understood(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    page = page_of(browser, made)
    assert made.status == "ready" and made.author.get_username() == "ann"
    for words in ("group:&quot;web servers&quot;", "2 targets", "web-1, web-2", "prod", "The planner is"):
        assert words in page
    assert 'value="nginx"' in page and "planner: catalogue (offline)" in page
    assert "record the installed versions" in page and "name: update-package" in page


def test_a_time_is_shown_as_one_moment_with_its_zone_and_asked_about(browser: Client) -> None:
    made = asked(browser, "restart nginx on web servers tomorrow at 03:00")
    page = page_of(browser, made)
    assert made.status == "needs_answer" and made.time is not None
    assert f'<time datetime="{made.time["at"]}">' in page
    assert "03:00 UTC" in page and "A run does not start by itself" in page


def test_alternatives_are_shown_with_how_well_they_match(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    page = page_of(browser, made)
    for each in made.alternatives[1:]:
        assert each["title"] in page
        assert f"match {round(100 * each['score'])} %" in page


def test_nothing_runs_by_asking(browser: Client) -> None:
    asked(browser, "update nginx on web servers")
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("sentence", ["", "   ", "x" * 1001, "a\0b"])
def test_a_sentence_that_cannot_be_taken_is_told_on_the_overview_and_kept(
    browser: Client, sentence: str
) -> None:
    answer = browser.post("/ask/", {"request": sentence}, follow=True)
    page = answer.content.decode()
    assert answer.redirect_chain[0][0].startswith("/?request=")
    assert "alert-danger" in page and not Proposal.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_who_may_not_propose_is_refused_even_without_the_page(ann: User, role: str) -> None:
    assert browser_of(person("eve", role)).post("/ask/", {"request": "x"}).status_code == 403
    assert not Proposal.objects.exists()


def test_a_question_is_answered_by_a_choice(browser: Client) -> None:
    made = asked(browser, "update nginx on frontend")
    assert "1 question before there is a plan" in page_of(browser, made)
    assert answered(browser, made, answering="1", other__targets="group:db").status_code == 302
    made.refresh_from_db()
    assert (made.status, made.targets) == ("ready", "group:db")


def test_a_question_left_open_is_asked_again_with_the_reason(browser: Client) -> None:
    made = asked(browser, "update nginx on frontend")
    answer = answered(browser, made, answering="1", other__targets=" ")
    assert answer.status_code == 400
    assert "Answer every question" in answer.content.decode()


def test_a_time_in_a_sentence_is_a_question_about_now(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers tonight")
    assert [question["slot"] for question in made.questions] == ["when"]
    answered(browser, made, answering="1", answer__when="now")
    made.refresh_from_db()
    assert made.status == "ready"


def test_another_runbook_is_chosen_among_the_alternatives(browser: Client) -> None:
    made = asked(browser, "check nginx on web servers")
    assert "Did you mean something else?" in page_of(browser, made)
    answered(browser, made, runbook="restart-service")
    made.refresh_from_db()
    assert (made.status, made.runbook) == ("ready", "restart-service")


def test_a_runbook_that_is_not_there_is_told(browser: Client) -> None:
    made = asked(browser, "check nginx on web servers")
    answer = answered(browser, made, runbook="format-disks")
    assert answer.status_code == 400 and "There is no runbook" in answer.content.decode()


def test_values_are_changed_and_what_follows_from_them_is_found_anew(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    assert made.parameters == {"package": "nginx", "service": "nginx"}
    typed = {"value__package": "postgresql", "value__service": "nginx", "value__targets": "group:db"}
    answered(browser, made, **typed)
    made.refresh_from_db()
    assert made.parameters == {"package": "postgresql", "service": "postgresql"}
    assert made.targets == "group:db"


def test_a_value_that_is_needed_may_not_be_emptied_and_what_was_typed_is_kept(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    answer = answered(browser, made, value__package="", value__targets="group:odd")
    page = answer.content.decode()
    assert answer.status_code == 400 and "Package is needed." in page and 'value="group:odd"' in page


def test_a_query_that_means_nothing_is_told_before_there_is_a_plan(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    answered(browser, made, value__targets="colour:red")
    page = page_of(browser, made)
    assert "These targets cannot be found." in page
    assert "disabled" in page.split("Make the plan")[0].rsplit("<button", 1)[1]


def test_a_query_that_fits_nothing_is_told(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    answered(browser, made, value__targets="name:none-*")
    assert "No target fits." in page_of(browser, made)


def test_what_is_forbidden_is_refused_with_the_reason(browser: Client) -> None:
    made = asked(browser, "format all disks on the web servers")
    assert made.status == "refused"
    page = page_of(browser, made)
    assert "No plan was made of this." in page and "Make the plan" not in page


def test_a_refusal_for_lack_of_a_runbook_offers_the_nearest(browser: Client) -> None:
    made = asked(browser, "brew coffee for everybody")
    assert made.status == "refused"
    page = page_of(browser, made)
    assert "The nearest runbooks" in page and "brew coffee for everybody" in page


def test_the_plan_is_made_once_and_held_for_its_author(browser: Client, ann: User) -> None:
    made = asked(browser, "update nginx on web servers")
    for _ in range(2):
        answer = browser.post(f"/proposals/{made.pk}/submit/", {"reason": "ticket 7"})
    run = JobRun.objects.get()
    assert answer.headers["Location"] == f"/runs/{run.pk}/"
    assert (run.status, run.reason, run.submitted_by) == ("held", "ticket 7", ann)
    assert run.source["prompt"] == "update nginx on web servers"
    assert f"run #{run.pk}" in page_of(browser, made)


def test_a_plan_that_cannot_be_made_is_told_with_its_cause(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    answered(browser, made, value__targets="name:none-*")
    answer = browser.post(f"/proposals/{made.pk}/submit/")
    assert answer.status_code == 400
    assert "alert-danger" in answer.content.decode() and not JobRun.objects.exists()


def test_a_proposal_that_asks_something_cannot_be_submitted(browser: Client) -> None:
    made = asked(browser, "update nginx on frontend")
    answer = browser.post(f"/proposals/{made.pk}/submit/")
    assert answer.status_code == 409 and "needs_answer" in answer.content.decode()


def test_a_viewer_sees_the_proposal_and_is_told_why_the_buttons_are_off(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    eve = browser_of(person("eve", "viewer"))
    page = page_of(eve, made)
    buttons = page.split('id="proposal"')[1].split("<button")[1:]
    assert "You can look." in page and buttons
    assert all("disabled" in button.split(">")[0] for button in buttons)
    assert eve.post(f"/proposals/{made.pk}/submit/").status_code == 403


def test_who_may_not_see_a_proposal_is_told_that_there_is_none(browser: Client) -> None:
    made = asked(browser, "update nginx on web servers")
    assert browser_of(person("mallory")).get(f"/proposals/{made.pk}/").status_code == 404


def test_a_proposal_being_planned_keeps_asking(browser: Client, ann: User) -> None:
    made = Proposal.objects.create(request="update nginx", author=ann)
    page = page_of(browser, made)
    assert 'data-refresh="1"' in page and "Making a proposal" in page


def test_what_people_and_planners_write_is_shown_as_text(browser: Client) -> None:
    evil = "<img src=x onerror=alert(1)>"
    made = asked(browser, f"update {evil} on web servers")
    Proposal.objects.filter(pk=made.pk).update(
        reason=evil, targets=evil, questions=[{"slot": "targets", "text": evil, "choices": [evil]}]
    )
    for status in ("ready", "needs_answer", "refused", "submitted"):
        Proposal.objects.filter(pk=made.pk).update(status=status, run=1)
        assert "<img" not in page_of(browser, made)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_understood(browser: Client, example: str) -> None:
    assert asked(browser, example).status == "ready"
