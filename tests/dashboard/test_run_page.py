"""The live page as it is served: a snapshot that stands without its script."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from automation.dashboard.run import plain
from automation.models import JobRun
from tests.api.conftest import person
from tests.dashboard.run_pages import add_targets, move, print_output, set_result, submit_update

pytestmark = pytest.mark.django_db


@pytest.fixture
def vera(db: None) -> Client:
    client = Client()
    client.force_login(person("vera", "viewer"))
    return client


def running(targets: int = 3, by: User | None = None) -> JobRun:
    add_targets(targets, environment="dev")
    run = submit_update(by or person("ana", "operator"))
    move(run, "running")
    return run


def page(client: Client, run: JobRun, query: str = "") -> str:
    answer = client.get(f"/runs/{run.pk}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def state(client: Client, run: JobRun) -> dict[str, Any]:
    found = re.search(
        r'<script id="run-state" type="application/json">(.*?)</script>', page(client, run), re.S
    )
    assert found is not None
    taken: dict[str, Any] = json.loads(found[1])
    return taken


def rows(text: str) -> list[tuple[str, str]]:
    return re.findall(r'class="matrix-row" role="row" data-target="([^"]*)" data-rank="([^"]*)"', text)


def test_what_failed_is_on_top_and_its_log_is_shown(vera: Client) -> None:
    run = running()
    set_result(run, "web1", "look", "succeeded")
    failed = set_result(run, "web3", "look", "failed", message="Exit status 7.", exit_code=7)
    print_output(failed, b"no disk left\n", stream="stderr")
    text = page(vera, run)
    assert rows(text) == [("web3", "failed"), ("web1", "running"), ("web2", "waiting")]
    assert '<span id="log-target">web3</span>' in text
    assert "no disk left" in text
    assert "web3, step 1 look: failed, exit status 7" in text
    assert "1 failed" in text


def test_the_address_names_what_is_shown(vera: Client) -> None:
    run = running()
    print_output(set_result(run, "web2", "update", "failed"), b"from verify\n", body="verify")
    text = page(vera, run, "?target=web2&step=update&body=verify")
    assert "from verify" in text
    assert "from verify" not in page(vera, run, "?target=web1&step=look")
    assert vera.get(f"/runs/{run.pk}/?target=nobody").status_code == 404
    assert vera.get(f"/runs/{run.pk}/?target=web1&step=nothing").status_code == 404


def test_a_step_that_ran_well_and_did_not_verify_shows_its_verify(vera: Client) -> None:
    run = running(1)
    row = set_result(run, "web1", "update", "failed")
    attempt = print_output(row, b"installed\n")
    attempt.state, attempt.exit_code = "ended", 0
    attempt.save()
    print_output(row, b"it is not there\n", body="verify")
    assert "it is not there" in page(vera, run)


def test_output_is_text_whatever_it_holds(vera: Client) -> None:
    run = running(1)
    hostile = (
        b"<img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\xff</pre><script>1</script>\n"
    )
    print_output(set_result(run, "web1", "look", "failed", message="<b>bold</b>"), hostile)
    text = page(vera, run)
    assert "<img src=x" not in text
    assert "<script>1" not in text
    assert "<b>bold" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;red\N{REPLACEMENT CHARACTER}&lt;/pre&gt;" in text


def test_what_is_no_whole_escape_sequence_is_not_swallowed() -> None:
    assert plain("\x1b]0;hidden rm -rf /\nnext") == "\N{REPLACEMENT CHARACTER}]0;hidden rm -rf /\nnext"
    assert plain("\x1b[1;31mred\x1b[m \x1b(Bplain\r\n") == "red plain\n"


def test_the_state_for_the_script_is_the_snapshot(vera: Client) -> None:
    run = running(2)
    set_result(run, "web2", "look", "failed", code="exit.nonzero", message="</script><b>", exit_code=1)
    run.refresh_from_db()
    taken = state(vera, run)
    assert (taken["last_seq"], taken["status"], taken["final"]) == (run.last_seq, "running", False)
    assert [target["name"] for target in taken["targets"]] == ["web1", "web2"]
    cell = taken["targets"][1]["cells"][0]
    assert (cell["state"], cell["message"], cell["exit_code"]) == ("failed", "</script><b>", 1)
    assert taken["steps"][1]["bodies"] == ["run", "check", "verify", "undo"]
    assert vera.get(f"/runs/{run.pk}/state/").json() == taken


def test_an_undone_target_is_not_good(vera: Client) -> None:
    run = running(1)
    set_result(run, "web1", "update", "failed", undone=True)
    text = page(vera, run)
    assert rows(text) == [("web1", "failed")]
    assert "web1, step 2 update: failed, then undone" in text


def test_skipped_by_its_condition_is_good_and_skipped_by_the_rollout_is_not(vera: Client) -> None:
    run = running(2)
    for step in ("look", "update"):
        set_result(run, "web1", step, "skipped", code="condition.false")
        set_result(run, "web2", step, "skipped", code="rollout.budget")
    assert rows(page(vera, run)) == [("web2", "stopped"), ("web1", "ok")]


def test_when_each_piece_of_output_came_is_told_for_the_last_attempt(vera: Client) -> None:
    run = running(1)
    row = set_result(run, "web1", "look", "running")
    print_output(row, b"12345")
    print_output(row, b"678")
    query = "?target=web1&step=look&body=run&stream=stdout"
    times = vera.get(f"/runs/{run.pk}/times/{query}").json()["times"]
    assert [(begin, end) for begin, end, _ in times] == [(0, 5), (5, 8)]
    assert vera.get(f"/runs/{run.pk}/times/").json() == {"times": []}


def test_events_and_inputs_are_listed_as_text(vera: Client) -> None:
    run = running(1)
    set_result(run, "web1", "look", "failed", code="exit.nonzero", message="<i>bad</i>")
    text = html.unescape(page(vera, run))
    assert "step · web1 › look: failed [exit.nonzero] <i>bad</i>" in text
    assert "nginx" in text
    assert "<i>bad" not in page(vera, run)


def test_a_viewer_sees_no_way_to_cancel_but_why(vera: Client) -> None:
    run = running(1)
    text = page(vera, run)
    assert "This needs the role operator, approver or admin; an administrator can give it to you." in text
    assert f"/runs/{run.pk}/cancel/" not in text


def test_cancelling_a_live_run_is_confirmed_first_and_then_asked_for() -> None:
    ana = person("ana", "operator")
    client = Client()
    client.force_login(ana)
    run = running(1, by=ana)
    assert f"Yes, cancel run {run.pk}" in page(client, run)
    assert client.post(f"/runs/{run.pk}/cancel/", {"reason": "wrong day"}).status_code == 302
    run.refresh_from_db()
    assert run.cancel_requested


def test_a_run_that_is_over_cannot_be_cancelled() -> None:
    ana = person("ana", "operator")
    client = Client()
    client.force_login(ana)
    run = running(1, by=ana)
    move(run, "succeeded")
    assert "Cancel run" not in page(client, run)
    answer = client.post(f"/runs/{run.pk}/cancel/")
    assert answer.status_code == 409
    assert "it cannot be cancelled" in answer.content.decode()


def test_strangers_see_nothing() -> None:
    run = running(1)
    nobody = Client()
    nobody.force_login(person("nobody"))
    for part in ("", "state/", "times/"):
        assert Client().get(f"/runs/{run.pk}/{part}").status_code == 302
        assert nobody.get(f"/runs/{run.pk}/{part}").status_code == 404


@pytest.mark.parametrize("targets", [3, 30])
def test_the_page_takes_as_many_queries_for_many_targets_as_for_few(
    vera: Client, targets: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    run = running(targets)
    with django_assert_num_queries(11):
        assert vera.get(f"/runs/{run.pk}/").status_code == 200


def test_a_run_is_paused_and_resumed_on_its_page(vera: Client, client: Client) -> None:
    ana = person("ana", "operator")
    run = running(by=ana)
    client.force_login(ana)
    pause, resume = f"/runs/{run.pk}/pause/", f"/runs/{run.pk}/resume/"
    assert pause in page(client, run)
    for address, status in ((pause, "paused"), (resume, "running")):
        assert client.post(address).status_code == 302
        run.refresh_from_db()
        assert run.status == status
    assert vera.post(pause).status_code == 403
    assert pause not in page(vera, run)
