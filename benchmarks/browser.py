"""From a line printed on a target to the page of everybody who watches it, in real Chromium windows.

The target is on this machine, so that one clock stamps a line when it is printed and when it is on the page.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import fanout
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.live import Wanted
from benchmarks.portal import ROOT, Portal
from benchmarks.targets import Farm

CHROMIUM = "/usr/bin/chromium"
NAME = "browser-benchmark"
PATIENCE = 120_000  # milliseconds: twenty windows on a small machine open slowly
COLUMNS = [
    Column("p50 ms", "p50"),
    Column("p99 ms", "p99"),
    # Newer lines filled the view before these were drawn: they are in the log, above.
    Column("passed over", "passed_over"),
    Column("load", "load"),
]
# Every line is a time; what is drawn a second time, after scrolling for instance, is not counted again.
OBSERVER = """
window.__seen = new Map();
new MutationObserver(() => {
    const now = (performance.timeOrigin + performance.now()) / 1000;
    for (const text of document.querySelectorAll("#log-live .log-text")) {
        const printed = text.textContent;
        if (!/^[0-9]+[.][0-9]{6}$/.test(printed) || __seen.has(printed)) continue;
        __seen.set(printed, now - Number(printed));
    }
}).observe(document, {childList: true, subtree: true, characterData: true});
"""


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    portal_folder = wanted.folder / "portal"
    portal_folder.mkdir()
    case = Case(f"{wanted.readers} windows")
    with Farm(wanted.folder / "targets", 1) as farm, Portal(portal_folder) as portal, _chromium() as browser:
        portal.add(farm)
        windows = _windows(browser, portal, wanted.readers)
        for number in range(wanted.rounds):
            latencies = _round(portal, windows, wanted, wanted.folder / f"go-{number}")
            steps = quantiles(latencies, n=100)
            case.add(
                p50=steps[49] * 1000,
                p99=steps[98] * 1000,
                passed_over=wanted.lines * wanted.readers - len(latencies),
                load=os.getloadavg()[0],
            )
    settings = {"readers": wanted.readers, "lines": wanted.lines, "pause": wanted.pause}
    write_json(wanted.json, "browser", settings, [case])
    return table([case], COLUMNS)


@contextmanager
def _chromium() -> Iterator[Browser]:
    arguments = ["--disable-gpu", "--no-first-run", *([] if os.geteuid() else ["--no-sandbox"])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


def _windows(browser: Browser, portal: Portal, count: int) -> list[Page]:
    """Windows of one person who signed in once."""
    password = secrets.token_urlsafe()
    subprocess.run(
        [sys.executable, ROOT / "manage.py", "create_user", NAME, "--role", "viewer", "--password-stdin"],
        input=f"{password}\n".encode(),
        env=portal.environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    first = browser.new_context(base_url=f"http://127.0.0.1:{portal.port}")
    page = first.new_page()
    page.goto("/sign-in/")
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"http://127.0.0.1:{portal.port}/")
    state = first.storage_state()
    first.close()
    contexts = [
        browser.new_context(
            base_url=f"http://127.0.0.1:{portal.port}", storage_state=state, reduced_motion="reduce"
        )
        for _ in range(count)
    ]
    for context in contexts:
        context.set_default_timeout(PATIENCE)
        context.add_init_script(OBSERVER)
    return [context.new_page() for context in contexts]


def _round(portal: Portal, windows: list[Page], wanted: Wanted, gate: Path) -> list[float]:
    """Seconds from print to page, of each line in each window."""
    script = (
        f"LC_ALL=C; until [ -e {gate} ]; do sleep 0.1; done; for n in $(seq {wanted.lines}); do "
        f'printf "%s\\n" "$EPOCHREALTIME"; sleep {wanted.pause}; done'
    )
    step = {"name": "print lines", "effect": "read", "run": {"bash": script}}
    number = portal.submit({"name": NAME, "steps": [step]})
    for page in windows:
        page.goto(f"/runs/{number}/")
    for page in windows:
        page.wait_for_selector('#run[data-connection="live"]')
    gate.touch()
    latencies: list[float] = []
    for page in windows:
        page.wait_for_selector('#run[data-status="succeeded"]')
        page.wait_for_selector(f'#log-live[data-lines="{wanted.lines}"]')
        latencies += page.evaluate("[...__seen.values()]")
    return latencies


def main() -> None:
    parser = argparse.ArgumentParser(prog="ops bench browser", description=__doc__)
    parser.add_argument("--readers", type=int, default=20, help="windows (default %(default)s)")
    parser.add_argument("--lines", type=int, default=60, help="a round (default %(default)s)")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="default %(default)s")
    parser.add_argument("--json", type=Path, help="where to write all samples (default var/benchmarks/)")
    given = parser.parse_args()
    data = Path(os.environ.get("OPSPORTAL_DATA") or ROOT / "var") / "benchmarks"
    given.json = given.json or data / "browser.json"
    print(fanout.crowd(), flush=True)
    with tempfile.TemporaryDirectory(prefix="opsportal-bench-") as folder:
        print(run(Wanted(folder=Path(folder), **vars(given))))
    print(f"All samples: {given.json}")


if __name__ == "__main__":
    main()
