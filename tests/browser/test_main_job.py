"""The customer's main job in the browser: a sentence, its plan, another person's approval, the run live."""

import re

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.live_page import RunPage
from tests.browser.stage import Shots, Stage
from tests.browser.work import Desk
from tests.hosts.client import Hosts

SENTENCE = "update nginx on web servers"
RUN_PAGE = re.compile(r"/runs/(\d+)/$")


@pytest.fixture
def new_servers(web_servers: Hosts) -> Hosts:
    """The same hosts, with the older nginx again."""
    web_servers.reset()
    return web_servers


def version(hosts: Hosts, name: str) -> str:
    return hosts.ssh(name, "dpkg-query -W -f '${Version}' nginx").stdout


def ask(page: Page) -> int:
    """From the ask box over the proposal to the plan; the run's number."""
    page.goto(reverse("overview"))
    page.get_by_role("textbox", name="What do you want done?").fill(SENTENCE)
    page.get_by_role("button", name="Propose", exact=True).click()
    page.wait_for_url("**/proposals/*/")
    page.get_by_role("button", name="Make the plan").click()
    return run_of(page)


def run_of(page: Page) -> int:
    page.wait_for_url(RUN_PAGE)
    found = RUN_PAGE.search(page.url)
    assert found is not None
    return int(found[1])


def ask_for_approval(page: Page) -> None:
    """The author has looked at the plan, where the portal holds it for that."""
    button = page.get_by_role("button", name="Ask for approval")
    if button.count():
        button.click()
        expect(button).to_have_count(0)


def test_a_sentence_updates_nginx_after_another_person_approved(
    stage: Stage, desk: Desk, new_servers: Hosts, shot: Shots
) -> None:
    before = version(new_servers, "web1")
    author = stage.page("operator")
    run = ask(author)
    ask_for_approval(author)
    expect(author.get_by_text("web2").first).to_be_visible()
    expect(author.get_by_role("button", name="Approve", exact=True)).to_be_disabled()
    page = RunPage(stage.page("approver"), run).open()
    expect(page.page.get_by_text(SENTENCE).first).to_be_visible()
    shot(page.page, "main-job-plan")
    page.page.get_by_role("button", name="Approve", exact=True).click()
    watching = RunPage(author, run)  # his page of the plan becomes that of the run by itself
    watching.expect_status("running", seconds=30)
    expect(watching.page.locator("#log-live .log-text").first).to_be_visible(timeout=30_000)
    assert desk.status(run) == "running"
    shot(author, "main-job-live")
    watching.expect_status("succeeded", seconds=120)
    shot(author, "main-job-done")
    watching.expect_whole_story(desk.seqs(run)[-1])
    assert {version(new_servers, name) for name in new_servers.names}.isdisjoint({before})


class Keyboard:
    """A person without a mouse: Tab until something has the focus, then a key."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def reach(self, words: str) -> None:
        """Tab to what is named so; what has the focus on the way must show it."""
        for _ in range(80):
            self.page.keyboard.press("Tab")
            focused = self.page.locator(":focus")
            if not focused.count():
                continue
            assert self._shows_focus(), f"no visible focus on {focused.first.inner_text()!r}"
            name: str = focused.evaluate(
                "e => e.ariaLabel || [...(e.labels || [])].map(l => l.innerText).join(' ') || e.innerText"
            )
            if words in name:
                return
        raise AssertionError(f"no {words!r} within 80 steps of Tab")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def _shows_focus(self) -> bool:
        shown: bool = self.page.evaluate(
            """() => {
                const outlined = element => {
                    const style = getComputedStyle(element);
                    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
                        || style.boxShadow !== "none";
                };
                const element = document.activeElement;
                return outlined(element) || Boolean(element.parentElement && outlined(element.parentElement));
            }"""
        )
        return shown


def test_the_keyboard_alone_leads_from_the_sentence_to_the_approval(
    stage: Stage, desk: Desk, web_servers: Hosts
) -> None:
    del web_servers
    page = stage.page("operator")
    page.goto(reverse("overview"))
    keys = Keyboard(page)
    keys.reach("What do you want done?")
    page.keyboard.type(SENTENCE)
    keys.press("Enter")
    page.wait_for_url("**/proposals/*/")
    keys.reach("Make the plan")
    keys.press("Enter")
    run = run_of(page)
    if desk.status(run) == "held":
        keys.reach("Ask for approval")
        with page.expect_navigation():
            keys.press("Enter")
    other = stage.page("approver")
    other.goto(reverse("run", args=[run]))
    keys = Keyboard(other)
    keys.reach("Approve")
    with other.expect_navigation():
        keys.press("Enter")
    assert desk.status(run) in ("queued", "running", "succeeded")
    assert desk.wait(run, 120) == "succeeded"
