"""The list of runs."""

from typing import Any

import pytest

from automation.models import JobRun
from tests.dashboard.people import brought_to, browser_of, person, run_of, targets

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs() -> list[JobRun]:
    """Of ann: one that succeeded, one that failed; of ben: one that runs, on another target."""
    targets("web-1")
    targets("db-7", group="db")
    ann, ben = person("ann", "operator"), person("ben", "operator")
    return [
        brought_to(run_of(ann, reason="ticket 812"), "succeeded", good=1),
        brought_to(run_of(ann, source={"kind": "catalogue", "prompt": "make the marker"}), "failed", bad=1),
        brought_to(run_of(ben, query="group:db"), "running"),
    ]


def listed(query: str, name: str = "eve") -> list[int]:
    """Numbers of the runs that the page lists."""
    user = person(name, "viewer") if name == "eve" else None
    page = browser_of(user or JobRun.objects.get(submitted_by__username=name).submitted_by).get(
        f"/runs/{query}", headers={"HX-Request": "true"}
    )
    return [row.run.pk for row in page.context["rows"]]


def test_all_runs_are_listed_newest_first(runs: list[JobRun]) -> None:
    assert listed("") == [run.pk for run in reversed(runs)]


@pytest.mark.parametrize(
    ("state", "places"), [("succeeded", [0]), ("problems", [1]), ("live", [2]), ("waiting", [])]
)
def test_a_chip_chooses_states(runs: list[JobRun], state: str, places: list[int]) -> None:
    assert listed(f"?state={state}") == [runs[place].pk for place in places]


def test_a_state_nobody_knows_chooses_nothing_and_breaks_nothing(runs: list[JobRun]) -> None:
    assert len(listed("?state=odd&page=abc")) == 3


@pytest.mark.parametrize(
    ("words", "places"),
    [("812", [0]), ("marker", [1]), ("db-7", [2]), ("ben", [2]), ("touch ann", [1, 0]), ("100%", [])],
)
def test_words_are_looked_for_where_people_expect_them(
    runs: list[JobRun], words: str, places: list[int]
) -> None:
    assert listed(f"?q={words.replace('%', '%25')}") == [runs[place].pk for place in places]


@pytest.mark.parametrize(
    ("exact", "places"),
    [
        ("target=db-7", [2]),
        ("target=db", []),
        ("by=ann&state=problems", [1]),
        ("workflow=touch&target=web-1", [1, 0]),
        ("workflow=tou", []),
        ("by=ann&q=812", [0]),
    ],
)
def test_other_pages_lead_to_the_runs_of_a_workflow_a_target_or_a_person(
    runs: list[JobRun], exact: str, places: list[int]
) -> None:
    names = {run.workflow_name for run in runs}
    assert listed(f"?{exact.replace('workflow=touch&', f'workflow={names.pop()}&')}") == [
        runs[place].pk for place in places
    ]


def test_what_the_list_is_limited_to_is_shown_kept_and_can_be_taken_away(runs: list[JobRun]) -> None:
    browser = browser_of(person("eve", "viewer"))
    page = browser.get("/runs/?target=web-1&state=problems&page=1").content.decode()
    assert '<a class="chip" href="?state=problems" aria-label="Target web-1: show all">' in page
    assert '<input type="hidden" name="target" value="web-1">' in page
    assert 'href="?target=web-1&amp;state=live"' in page


def test_a_run_is_found_by_its_number(runs: list[JobRun]) -> None:
    assert runs[2].pk in listed(f"?q=%23{runs[2].pk}")


def test_mine_are_those_i_had_a_part_in_asking_for(runs: list[JobRun]) -> None:
    assert listed("?mine=1", "ben") == [runs[2].pk]


def test_chips_count_what_the_other_filters_leave(runs: list[JobRun]) -> None:
    page = browser_of(person("eve", "viewer")).get("/runs/?q=ann&state=problems")
    counts = {chip["key"]: chip["count"] for chip in page.context["chips"]}
    assert (counts[""], counts["succeeded"], counts["problems"], counts["live"]) == (2, 1, 1, 0)


def test_an_empty_search_offers_the_way_back(runs: list[JobRun]) -> None:
    page = browser_of(person("eve", "viewer")).get("/runs/?q=nowhere").content.decode()
    assert "No run fits" in page and "Show all runs" in page


def test_text_of_people_is_shown_as_text(runs: list[JobRun]) -> None:
    run_of(JobRun.objects.first().submitted_by, reason="<script>alert(1)</script>")  # type: ignore[union-attr]
    page = browser_of(person("eve", "viewer")).get("/runs/?q=<img>").content.decode()
    assert "<script>alert" not in page and "<img>" not in page
    page = browser_of(person("eva", "viewer")).get("/runs/").content.decode()
    assert "&lt;script&gt;alert(1)" in page


def test_long_lists_come_in_pages_that_keep_the_filters(runs: list[JobRun]) -> None:
    ann = runs[0].submitted_by
    for _ in range(30):
        run_of(ann)
    page = browser_of(ann).get("/runs/?q=ann").content.decode()
    assert "1–25 of 32" in page and "?q=ann&amp;page=2" in page


@pytest.mark.parametrize("count", [3, 30])
def test_the_list_needs_the_same_queries_however_many_rows(
    count: int, django_assert_num_queries: Any
) -> None:
    targets("web-1", "web-2")
    ann = person("ann", "operator")
    for _ in range(count):
        run_of(ann)
    client = browser_of(ann)
    with django_assert_num_queries(10):
        client.get("/runs/?q=touch&mine=1")


def test_who_has_no_role_is_shown_nothing(runs: list[JobRun]) -> None:
    assert "touch-file" not in browser_of(person("mallory")).get("/runs/").content.decode()
