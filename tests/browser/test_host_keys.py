"""A machine nobody has met: its key is compared and trusted by a person, and then work runs there."""

import json
import re

import httpx
import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.acceptance.main_job.installation import Installation
from tests.browser.stage import Shots, Stage
from tests.browser.work import Desk, read_step
from tests.hosts.client import Hosts


def add_target(installation: Installation, entry: dict[str, object], *options: str) -> int:
    """Import it; its id."""
    name = entry["name"]
    entry.pop("role", None)
    file = installation.data / "newcomer.json"
    file.write_text(json.dumps({"hosts": [entry]}))
    installation.manage("import_inventory", str(file), *options)
    token = installation.token("ada", "person", "inventory:read")
    answer = httpx.get(
        f"http://127.0.0.1:{installation.portal.port}/api/v1/targets/",
        params={"q": f"name:{name}"},
        headers={"Authorization": f"Bearer {token}"},
    )
    (target,) = answer.json()["results"]
    return int(target["id"])


@pytest.fixture
def newcomer(installation: Installation, web_servers: Hosts, request: pytest.FixtureRequest) -> int:
    """A target whose key came with the inventory and waits to be looked at; its id."""
    name = f"newcomer-{abs(hash(request.node.name)) % 10**6}"
    entry = {**web_servers.inventory()["hosts"][1], "name": name, "environment": "dev"}
    return add_target(installation, entry)


def open_target(page: Page, target: int) -> str:
    """Open it; its name."""
    page.goto(reverse("target", args=[target]))
    return page.get_by_role("heading", level=1).inner_text().strip()


def test_a_pending_key_is_trusted_after_it_was_compared_and_work_runs(
    stage: Stage, desk: Desk, newcomer: int, web_servers: Hosts, shot: Shots
) -> None:
    page = stage.page("admin")
    name = open_target(page, newcomer)
    assert re.search("SHA256:[A-Za-z0-9+/]{43}", page.locator("#host-keys").inner_text())
    del web_servers
    refused = desk.submit(read_step("true"), targets=f"name:{name}")
    assert desk.wait(refused.id) == "failed"
    page.get_by_role("checkbox", name=re.compile("compared")).check()
    page.get_by_role("button", name="Trust this key").click()
    expect(page.locator("#host-keys")).to_contain_text(re.compile("trusted", re.IGNORECASE))
    shot(page, "target-trusted")
    run = desk.submit(read_step("echo here I am"), targets=f"name:{name}")
    assert desk.wait(run.id) == "succeeded"


def test_a_key_that_nobody_compared_is_not_trusted(stage: Stage, newcomer: int) -> None:
    page = stage.page("admin")
    open_target(page, newcomer)
    page.get_by_role("button", name="Trust this key").click()
    page.reload()
    expect(page.get_by_role("button", name="Trust this key")).to_be_visible()


def test_an_operator_reads_why_he_may_not_trust_it(stage: Stage, newcomer: int) -> None:
    page = stage.page("operator")
    open_target(page, newcomer)
    button = page.get_by_role("button", name="Trust this key")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description(re.compile(r"\w+ \w+"))


def test_a_test_of_a_target_shows_how_far_it_came(
    stage: Stage, newcomer: int, web_servers: Hosts, shot: Shots
) -> None:
    del web_servers
    page = stage.page("admin")
    open_target(page, newcomer)
    page.get_by_role("checkbox", name=re.compile("compared")).check()
    page.get_by_role("button", name="Trust this key").click()
    page.get_by_role("button", name=re.compile("^Test")).first.click()
    expect(page.locator("#test")).to_contain_text(re.compile("reachable", re.IGNORECASE), timeout=30_000)
    shot(page, "target-tested")


def test_another_key_than_the_trusted_one_is_an_alarm_and_nothing_runs_there(
    stage: Stage, desk: Desk, installation: Installation, web_servers: Hosts, shot: Shots
) -> None:
    one, other = web_servers.inventory()["hosts"][1:3]
    entry = {**one, "name": "impostor", "environment": "dev", "host_key": other["host_key"]}
    target = add_target(installation, entry, "--trust-host-keys")
    page = stage.page("admin")
    open_target(page, target)
    page.get_by_role("button", name=re.compile("^Test")).first.click()
    alarm = page.get_by_role("alert").filter(has_text="another host key than the trusted one")
    expect(alarm).to_be_visible(timeout=30_000)
    assert len(set(re.findall("SHA256:[A-Za-z0-9+/]{43}", alarm.inner_text()))) == 2
    shot(page, "target-changed-key")
    run = desk.submit(read_step("true"), targets="name:impostor")
    assert desk.wait(run.id) == "failed"
    page.goto(reverse("targets"))
    expect(page.get_by_role("alert")).to_contain_text("impostor")
