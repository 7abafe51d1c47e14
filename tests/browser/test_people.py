"""Who may do what, and how the pages say it to those who may not."""

from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.stage import PHONE, Shots, Stage
from tests.browser.work import Desk, change_step, gated, read_step
from tests.hosts.client import Hosts


def open_run(page: Page, run: int) -> Page:
    page.goto(reverse("run", args=[run]))
    return page


def waiting(desk: Desk) -> int:
    return desk.submit(change_step("true"), targets="name:web1", reason="a test").id


def test_a_viewer_sees_a_plan_and_cannot_decide(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    del web_servers
    run = waiting(desk)
    page = open_run(stage.page("viewer"), run)
    expect(page.locator("pre").first).to_have_text("true")
    for name in ("Approve", "Reject"):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_disabled()
        expect(page.locator("#why-not")).to_contain_text("approver")
    assert desk.status(run) == "awaiting_approval"


def test_a_viewer_sees_a_run_and_cannot_cancel_it(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    run = desk.submit(read_step(gated("/tmp/seen", "look at this", "over")), targets="name:web1")
    page = open_run(stage.page("viewer"), run.id)
    expect(page.locator("#log-live").get_by_text("look at this", exact=True)).to_be_visible()
    button = page.get_by_role("button", name="Cancel run")
    expect(button).to_be_disabled()
    web_servers.raw("web1", "touch", "/tmp/seen")
    assert desk.wait(run.id) == "succeeded"


def test_a_viewer_may_not_post_what_the_button_would(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    del web_servers
    run = waiting(desk)
    page = open_run(stage.page("viewer", forgives=("403",)), run)
    page.locator("button").evaluate_all("buttons => buttons.forEach(button => { button.disabled = false })")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert desk.status(run) == "awaiting_approval"


def test_who_asked_reads_why_he_may_not_approve(
    stage: Stage, desk: Desk, web_servers: Hosts, shot: Shots
) -> None:
    del web_servers
    run = desk.submit(change_step("true"), targets="name:web1", user="ada").id
    page = open_run(stage.page("admin"), run)
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_disabled()
    expect(page.locator("#why-not")).to_contain_text("ask")
    shot(page, "plan-why-not")


def test_approving_on_a_phone_takes_two_taps_at_most(
    stage: Stage, desk: Desk, web_servers: Hosts, shot: Shots
) -> None:
    del web_servers
    run = waiting(desk)
    page = open_run(stage.page("approver", PHONE), run)
    button = page.get_by_role("button", name="Approve", exact=True)
    expect(button).to_be_visible()
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE
    shot(page, "approve")
    button.tap()
    page.wait_for_url(f"**{reverse('run', args=[run])}")
    assert desk.wait(run) == "succeeded"


def test_a_rejection_keeps_its_reason(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    del web_servers
    run = waiting(desk)
    page = open_run(stage.page("approver"), run)
    page.get_by_label("Reason").fill("not on a Friday")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_text("not on a Friday").first).to_be_visible()
    assert desk.status(run) == "rejected"
    assert violations(page) == []
