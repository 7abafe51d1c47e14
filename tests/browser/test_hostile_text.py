"""Text that means harm, from targets, from the AI and from people: shown as text on every page it reaches."""

from __future__ import annotations

import json

import httpx
import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.acceptance.main_job.installation import Installation
from tests.browser import hostile
from tests.browser.live_page import RunPage
from tests.browser.stage import Shots, Stage
from tests.browser.work import Desk, change_step, read_step
from tests.hosts.client import Hosts

ALL = "".join(hostile.MARKUP)


def expect_text_only(page: Page, *texts: str) -> None:
    page.wait_for_timeout(500)  # scripts that came along would have had their chance
    assert hostile.taken_as_markup(page) == []
    assert hostile.missing_text(page, *texts) == []


@pytest.fixture(scope="module")
def finished(desk: Desk, web_servers: Hosts) -> int:
    """A run in which every text that somebody can choose means harm."""
    del web_servers
    parameters = {"text": {"type": "string", "label": hostile.MARKUP[0]}}
    run = desk.submit(
        read_step(hostile.script(), hostile.MARKUP[5]),
        read_step(
            f"echo 'version={hostile.MARKUP[0]}' >> \"$OPSPORTAL_OUTPUT\"; exit 3", hostile.MARKUP[1][:100]
        ),
        targets="name:web1",
        parameters=parameters,
        values={"text": ALL},
        reason=ALL[:500],
    )
    desk.wait(run.id)
    return run.id


def test_output_is_text_whatever_it_says(stage: Stage, desk: Desk, finished: int, shot: Shots) -> None:
    page = RunPage(stage.page("operator"), finished)
    step = httpx.QueryParams({"target": "web1", "step": hostile.MARKUP[5]})
    page.open(f"?{step}")
    page.page.get_by_role("group", name="Stream").get_by_role("button", name="stdout").click()
    page.expect_line(hostile.LAST_LINE)
    page.page.locator("#log-live .log-scroller").evaluate("log => { log.scrollTop = 0 }")
    page.expect_line("the first line")
    expect_text_only(page.page, *hostile.MARKUP)
    shot(page.page, "hostile-output")
    assert desk.output(finished, "web1", hostile.MARKUP[5]) == hostile.output()


def test_output_is_text_without_scripts_too(stage: Stage, finished: int) -> None:
    page = stage.page("operator")
    page.route("**/static/js/*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    step = httpx.QueryParams({"target": "web1", "step": hostile.MARKUP[5]})
    page.goto(f"{reverse('run', args=[finished])}?{step}")
    expect_text_only(page, *hostile.MARKUP, hostile.LAST_LINE)


def test_parameters_reasons_and_names_of_steps_are_text(stage: Stage, finished: int) -> None:
    page = stage.page("operator")
    for name in ("run", "run-plan"):
        page.goto(reverse(name, args=[finished]))
        expect_text_only(page, ALL, ALL[:500])
    for name in ("runs", "overview", "targets"):
        page.goto(reverse(name))
        expect_text_only(page)


def test_reasons_of_decisions_are_text(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    del web_servers
    run = desk.submit(change_step("true"), targets="name:web1").id
    page = stage.page("approver")
    page.goto(reverse("run", args=[run]))
    page.get_by_label("Reason").fill(ALL)
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_role("button", name="Reject", exact=True)).to_have_count(0)
    page.goto(reverse("run", args=[run]))
    expect_text_only(page, ALL)


def test_a_proposal_of_a_hostile_sentence_is_text(stage: Stage, installation: Installation) -> None:
    token = installation.token("olivia", "person", "inventory:read", "proposals:write", "runs:read")
    url = f"http://127.0.0.1:{installation.portal.port}/api/v1/proposals/"
    page = stage.page("operator")
    for sentence in (
        f"update nginx on {hostile.MARKUP[0]}",
        f"restart {hostile.MARKUP[1]} on web servers",
        ALL,
    ):
        answer = httpx.post(url, json={"request": sentence}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (200, 201), answer.text
        page.goto(reverse("proposal", args=[answer.json()["id"]]))
        expect_text_only(page, sentence)
    page.goto(reverse("overview"))
    expect_text_only(page)


def test_what_is_known_of_a_target_is_text(
    stage: Stage, desk: Desk, installation: Installation, web_servers: Hosts, shot: Shots
) -> None:
    entry = {
        **web_servers.inventory()["hosts"][2],
        "name": hostile.MARKUP[0],
        "groups": [hostile.MARKUP[0][:60]],
        "tags": ["onerror-alert"],
        "environment": "hostile",
        "variables": {"motd": ALL},
    }
    entry.pop("role", None)
    file = installation.data / "hostile.json"
    file.write_text(json.dumps({"hosts": [entry]}))
    installation.manage("import_inventory", str(file), "--trust-host-keys")
    page = stage.page("admin")
    page.goto(reverse("targets"))
    expect_text_only(page, hostile.MARKUP[0])
    page.get_by_role("link", name=hostile.MARKUP[0]).first.click()
    expect_text_only(page, ALL, hostile.MARKUP[0][:60])
    shot(page, "hostile-target")
    run = desk.submit(read_step("echo here"), targets="env:hostile")
    assert desk.wait(run.id) == "succeeded"
    for name in ("run", "run-plan"):
        page.goto(reverse(name, args=[run.id]))
        expect_text_only(page, hostile.MARKUP[0])


def test_a_workflow_of_hostile_text_is_text(stage: Stage, installation: Installation) -> None:
    definition = {
        "name": "hostile",
        "summary": hostile.MARKUP[0],
        "parameters": {"text": {"type": "string", "label": hostile.MARKUP[1], "default": hostile.MARKUP[3]}},
        "targets": "all",
        "steps": [read_step(f"echo '{hostile.MARKUP[2]}'", hostile.MARKUP[5])],
    }
    token = installation.token("ada", "person", "admin")
    answer = httpx.post(
        f"http://127.0.0.1:{installation.portal.port}/api/v1/workflows/",
        json={"definition": definition},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 201, answer.text
    page = stage.page("operator")
    page.goto(reverse("workflows"))
    expect_text_only(page, hostile.MARKUP[0])
    page.goto(reverse("workflow", args=["hostile"]))
    expect_text_only(page, hostile.MARKUP[0], hostile.MARKUP[5])
    page.goto(reverse("workflow-run", args=["hostile"]))
    expect_text_only(page, hostile.MARKUP[1], hostile.MARKUP[3])
