"""Many who look at one run, and a run that says very much."""

import hashlib

from playwright.sync_api import expect

from tests.browser.live_page import RunPage
from tests.browser.stage import PHONE, Stage
from tests.browser.work import Desk, Frames, gated, kept_smooth, read_step
from tests.hosts.client import Hosts

BROWSERS = 20
LINES = 50_000
# LINES of them, 500 each 0.1 s: ten seconds of it.
FLOOD = """
for part in $(seq 0 99); do
    seq -f 'this is line %.0f of a log that is in a hurry' $((part * 500 + 1)) $(((part + 1) * 500))
    sleep 0.08
done
"""
# Generous: Chromium, portal and target share the machine with whatever else runs there.
STANDSTILL = 2.0


def test_twenty_browsers_end_with_the_identical_story(stage: Stage, desk: Desk, web_servers: Hosts) -> None:
    talk = "for n in $(seq 30); do echo line $n; sleep 0.05; done"
    run = desk.submit(
        *(read_step(gated("/tmp/crowd", "ready", "go") + talk, f"step {n}") for n in (1, 2)),
        targets="group:web",
    )
    pages = [
        RunPage(stage.page("operator" if n % 2 else "viewer", PHONE, moves=False), run.id)
        for n in range(BROWSERS)
    ]
    frames = [Frames(page.page) for page in pages]
    for page in pages:
        page.open("?target=web1&step=step 1")
    for page in pages:
        page.expect_live()
    for name in web_servers.names:
        web_servers.raw(name, "touch", "/tmp/crowd")
    for page in pages:
        page.expect_status("succeeded", seconds=90)
    seqs = desk.seqs(run.id)
    for page, told in zip(pages, frames, strict=True):
        page.expect_whole_story(seqs[-1])
        assert told.seqs() == seqs[seqs.index(told.seqs()[0]) :]
        assert page.log.last.inner_text() == "line 30"


def test_fifty_thousand_lines_in_ten_seconds_are_all_there_and_the_page_lives(
    stage: Stage, desk: Desk, web_servers: Hosts
) -> None:
    run = desk.submit(read_step(gated("/tmp/flood", "ready", "go") + FLOOD), targets="name:web1")
    page = RunPage(stage.page("operator"), run.id).open("?target=web1&step=look")
    page.expect_line("ready")
    with kept_smooth(page.page, longest=STANDSTILL):
        web_servers.raw("web1", "touch", "/tmp/flood")
        page.expect_status("succeeded", seconds=60)
        page.expect_line(f"this is line {LINES} of a log that is in a hurry", seconds=30)
    expect(page.page.locator("#log-live")).to_have_attribute("data-lines", str(LINES + 2))
    lines = (f"this is line {n} of a log that is in a hurry\n" for n in range(1, LINES + 1))
    expected = "".join(["ready\ngo\n", *lines])
    stored = desk.output(run.id, "web1", "look")
    assert hashlib.sha256(stored).digest() == hashlib.sha256(expected.encode()).digest()
    scroller = page.page.locator("#log-live .log-scroller")
    for share in (0.1, 0.5, 0.9):  # not only counted: what is in the middle can be read
        scroller.evaluate("(log, share) => { log.scrollTop = log.scrollHeight * share }", share)
        line = round(LINES * share)
        page.expect_line(f"this is line {line} of a log that is in a hurry")
