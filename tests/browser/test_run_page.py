"""A run on real hosts, as its page shows it while it goes on."""

import os
import signal

from playwright.sync_api import expect

from tests.acceptance.main_job.installation import Installation
from tests.browser.live_page import RunPage
from tests.browser.stage import Shots, Stage
from tests.browser.work import Desk, Frames, gated, read_step
from tests.hosts.client import Hosts
from tests.opsportal.portal import wait_until


def open_gate(hosts: Hosts, gate: str, *names: str) -> None:
    for name in names or hosts.names:
        hosts.raw(name, "touch", gate)


def test_lines_are_on_the_page_while_their_step_still_runs(
    stage: Stage, desk: Desk, web_servers: Hosts, shot: Shots
) -> None:
    run = desk.submit(read_step(gated("/tmp/live", "a first line", "a last line")), targets="name:web1")
    page = RunPage(stage.page("operator"), run.id).open("?target=web1&step=look")
    page.expect_line("a first line")
    assert desk.status(run.id) == "running"
    expect(page.page.get_by_text("a last line", exact=True)).to_have_count(0)
    shot(page.page, "run-live")
    open_gate(web_servers, "/tmp/live", "web1")
    page.expect_line("a last line")
    page.expect_status("succeeded")
    page.expect_whole_story(desk.seqs(run.id)[-1])


def test_what_failed_is_on_top_with_its_log_open(
    stage: Stage, desk: Desk, web_servers: Hosts, shot: Shots
) -> None:
    script = 'echo "this is $(hostname)"; [ "$(hostname)" != web3 ] || { echo "no disk left" >&2; exit 7; }'
    run = desk.submit(read_step(script), targets="group:web")
    assert desk.wait(run.id) == "partial"
    page = RunPage(stage.page("viewer"), run.id).open()
    assert page.names[0] == "web3"
    expect(page.page.locator("#log-target")).to_have_text("web3")
    expect(page.page.locator("#log-state")).to_contain_text("7")
    page.expect_line("no disk left")
    shot(page.page, "run-failed-on-top")


def test_what_failed_is_run_again_from_its_page_without_a_mouse(
    stage: Stage, desk: Desk, web_servers: Hosts, shot: Shots
) -> None:
    script = '[ "$(hostname)" != web3 ] || [ -e /tmp/mended ] || exit 7; echo "key of ${#key}"'
    key = {"key": {"type": "secret", "label": "Key"}}
    run = desk.submit(read_step(script), targets="group:web", parameters=key, values={"key": "one of tests"})
    assert desk.wait(run.id) == "partial"
    web_servers.raw("web3", "touch", "/tmp/mended")
    page = stage.page("operator", forgives=("422",))
    RunPage(page, run.id).open()
    page.locator("#run-again").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Run #{run.id} again")
    expect(page.get_by_role("radio", name="Only where it did not succeed")).to_be_checked()
    shot(page, "run-again-with-a-secret")
    page.get_by_label("Key").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was submitted")
    page.get_by_label("Key").fill("another of tests")
    page.get_by_label("Key").press("Enter")
    page.wait_for_url(f"**/runs/{run.id + 1}/")
    again = RunPage(page, run.id + 1)
    again.expect_status("succeeded")
    assert again.names == ["web3"]
    again.expect_line("key of 16")
    shot(page, "run-repeats")
    page.get_by_role("link", name=f"#{run.id}", exact=True).press("Enter")
    expect(page.get_by_role("link", name=f"#{run.id + 1}", exact=True)).to_be_visible()


def test_a_remark_on_stderr_does_not_hide_what_a_good_step_says(
    stage: Stage, desk: Desk, web_servers: Hosts
) -> None:
    script = f"echo 'a remark' >&2\n{gated('/tmp/remark', 'what it says', 'the rest')}"
    run = desk.submit(read_step(script), targets="name:web1")
    page = RunPage(stage.page("operator"), run.id).open("?target=web1&step=look")
    page.expect_line("what it says")
    open_gate(web_servers, "/tmp/remark", "web1")
    page.expect_line("the rest")
    page.open()
    page.expect_line("the rest")


def test_a_page_that_is_open_puts_a_failure_on_top_when_it_comes(
    stage: Stage, desk: Desk, web_servers: Hosts
) -> None:
    script = gated("/tmp/later", "waiting", "went on") + '[ "$(hostname)" != web3 ]'
    run = desk.submit(read_step(script), targets="group:web")
    page = RunPage(stage.page("operator"), run.id).open()
    page.expect_live()
    assert page.names == ["web1", "web2", "web3"]
    open_gate(web_servers, "/tmp/later", "web3")
    expect(page.page.locator("#matrix-rows .matrix-name").first).to_have_text("web3")
    open_gate(web_servers, "/tmp/later", "web1", "web2")
    page.expect_status("partial")


def test_after_the_web_server_was_killed_the_page_goes_on_without_gap_or_repeat(
    stage: Stage, desk: Desk, web_servers: Hosts, installation: Installation, shot: Shots
) -> None:
    steps = [read_step(gated(f"/tmp/kill{n}", f"before {n}", f"after {n}"), f"step {n}") for n in (1, 2)]
    run = desk.submit(*steps, targets="name:web1")
    lost = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    window = stage.page("operator", forgives=("WebSocket", "Failed to fetch", *lost))
    frames = Frames(window)
    page = RunPage(window, run.id).open("?target=web1&step=step 1")
    page.expect_line("before 1")
    page.expect_live()
    os.kill(installation.portal.main_pid("web"), signal.SIGKILL)
    expect(page.root).not_to_have_attribute("data-connection", "live")
    shot(window, "run-connection-lost")
    open_gate(web_servers, "/tmp/kill1", "web1")  # the story goes on while nobody listens
    wait_until(installation.portal.ready, seconds=60, what="the web server is not back")
    page.expect_live(seconds=40)
    page.expect_line("after 1")
    open_gate(web_servers, "/tmp/kill2", "web1")
    page.expect_status("succeeded")
    seqs = desk.seqs(run.id)
    page.expect_whole_story(seqs[-1])
    told = frames.seqs()
    assert told == seqs[seqs.index(told[0]) :]
    assert frames.sockets >= 2
    lines = page.log.all_inner_texts()
    assert [line for line in lines if line.endswith(" 1")] == ["before 1", "after 1"]


def test_cancelling_from_the_page_stops_the_run(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    run = desk.submit(read_step(gated("/tmp/never", "started", "not to be seen")), targets="name:web2")
    page = RunPage(stage.page("operator"), run.id).open("?target=web2&step=look")
    page.expect_line("started")
    page.page.get_by_text("Cancel run").first.click()
    page.page.get_by_role("button", name=f"Yes, cancel run {run.id}").click()
    page.expect_status("cancelled")
    del web_servers
