"""What needs me, what runs now, what ran."""

from typing import Any

import pytest

from aiworkflows.models import Proposal
from aiworkflows.planners.contract import Plan, Question
from automation import decide
from automation.models import JobRun
from tests.dashboard.people import brought_to, browser_of, person, run_of, targets

pytestmark = pytest.mark.django_db


def section(page: str, heading: str) -> str:
    """The part of the page below this heading's id."""
    return page.split(f'id="{heading}"', 1)[1].split("</section>", 1)[0]


def seen_by(user: Any) -> str:
    return browser_of(user).get("/").content.decode()


def test_without_targets_the_page_says_how_to_begin() -> None:
    page = seen_by(person("ann", "viewer"))
    assert "First steps" in page and "import_inventory" in page


def test_empty_sections_say_what_will_be_there() -> None:
    targets("web-1")
    page = seen_by(person("ann", "viewer"))
    assert "First steps" not in page
    for words in ("Nothing needs you", "Nothing is running", "No run has finished yet"):
        assert words in page


def test_an_approver_finds_the_plan_that_waits_and_its_author_that_others_must_decide() -> None:
    targets("web-1", environment="prod")
    ann, ben = person("ann", "operator"), person("ben", "approver")
    run = run_of(ann)
    assert run.status == "awaiting_approval"
    assert "Review" in section(seen_by(ben), "needs-you")
    assert "Waits for an approver" in section(seen_by(ann), "needs-you")
    assert "Nothing needs you" in section(seen_by(person("eve", "viewer")), "needs-you")


def test_the_list_of_plans_to_decide_on_agrees_with_the_rule_for_one() -> None:
    targets("web-1", environment="prod")
    both = person("both", "operator", "approver")
    runs = [run_of(both), run_of(person("ann", "operator")), run_of(person("amy", "operator"))]
    brought_to(runs[2], "running")
    for user in (both, person("ben", "approver"), person("eve", "viewer"), person("root", "admin")):
        allowed = {run.pk for run in runs if decide.refusal(run, by=user) is None}
        assert set(JobRun.objects.decidable_by(user).values_list("pk", flat=True)) == allowed


def test_a_held_run_is_shown_to_who_asked_for_it() -> None:
    targets("web-1")
    ann = person("ann", "operator")
    run_of(ann, hold=True)
    assert "Look and start" in section(seen_by(ann), "needs-you")
    assert "Nothing needs you" in section(seen_by(person("ben", "operator")), "needs-you")


def test_a_question_about_my_request_is_shown_to_me_alone() -> None:
    ann = person("ann", "operator")
    made = Proposal.objects.create(request="update nginx on <b>frontend</b>", author=ann)
    asked = Plan("needs_answer", questions=(Question("targets", "Which targets are meant?"),))
    made.planned(asked, planner="catalogue", model=None)
    page = section(seen_by(ann), "needs-you")
    assert "Which targets are meant?" in page and f'href="/proposals/{made.pk}/"' in page
    assert "<b>" not in page
    assert "Which targets" not in seen_by(person("ben", "operator"))


def test_a_live_run_is_shown_with_its_progress() -> None:
    targets("web-1", "web-2", "web-3", "web-4")
    brought_to(run_of(person("ann", "operator")), "running", good=1, bad=1)
    page = section(seen_by(person("eve", "viewer")), "running-now")
    assert "2 of 4 targets done, 1 not good" in page
    assert "50 % done" in page


def test_a_finished_run_is_shown_with_its_result() -> None:
    targets("web-1", "web-2")
    brought_to(run_of(person("ann", "operator")), "partial", good=1, bad=1)
    page = section(seen_by(person("eve", "viewer")), "recent")
    assert (
        "1 of 2 targets good" in page and "Partly succeeded" in page and "took 2\N{NO-BREAK SPACE}min" in page
    )


def test_the_fragment_is_the_part_that_keeps_fresh_and_no_whole_page() -> None:
    page = browser_of(person("ann", "viewer")).get("/now/").content.decode()
    assert "Nothing needs you" in page and "<html" not in page


@pytest.mark.parametrize("count", [3, 30])
def test_the_number_of_queries_does_not_grow_with_the_rows(
    count: int, django_assert_num_queries: Any
) -> None:
    targets("web-1", "web-2")
    ann = person("ann", "operator", "approver")
    other = person("ben", "operator")
    for number in range(count):
        run = run_of(other if number % 2 else ann, hold=number % 3 == 0)
        if number % 4 == 1:
            brought_to(run, "succeeded", good=2)
    client = browser_of(ann)
    client.get("/now/")
    with django_assert_num_queries(15):
        client.get("/now/")


def test_who_has_no_role_sees_no_runs() -> None:
    targets("web-1")
    brought_to(run_of(person("ann", "operator")), "succeeded", good=1)
    page = seen_by(person("mallory"))
    assert "touch-file" not in page


def test_the_ask_box_is_off_for_who_may_not_ask_and_says_why() -> None:
    assert "needs the role operator or admin" in seen_by(person("eve", "viewer"))
    assert "needs the role operator or admin" not in seen_by(person("ann", "operator"))
