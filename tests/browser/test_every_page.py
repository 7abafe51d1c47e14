"""Every page, for everybody: WCAG by axe in both themes, on a desk and on a phone; headings; a picture."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from django.urls import reverse
from playwright.sync_api import Page

from tests.acceptance.main_job.installation import Installation
from tests.browser.accessibility import violations
from tests.browser.stage import DESK, PHONE, Role, Shots, Stage, Theme
from tests.browser.work import Desk, change_step, gated, read_step
from tests.hosts.client import Hosts

WORKFLOW = {
    "name": "update-package",
    "summary": "Update one package",
    "parameters": {"package": {"type": "string", "label": "Package"}},
    "targets": "group:web",
    "steps": [change_step('echo "$package"', "update")],
}
BROKEN = 'echo "looking around"; echo "E: Could not get lock" >&2; [ "$(hostname)" != web2 ]'
GATE = "/tmp/every-page"


@dataclass(frozen=True)
class Furniture:
    """What there is to see."""

    waiting: int
    failed: int
    running: int
    proposal: int
    target: int
    untrusted: int


@pytest.fixture(scope="module")
def furniture(installation: Installation, web_servers: Hosts, desk: Desk) -> Iterator[Furniture]:
    stranger = {**web_servers.inventory()["hosts"][0], "name": "stranger", "environment": "dev"}
    for left_out in ("role", "groups"):
        stranger.pop(left_out, None)
    untrusted(installation, {**stranger, "bastion": "web2"})
    with httpx.Client(
        base_url=f"http://127.0.0.1:{installation.portal.port}/api/v1/",
        headers={"Authorization": f"Bearer {installation.token('ada', 'person', 'admin')}"},
    ) as client:
        client.post("workflows/", json={"definition": WORKFLOW}).raise_for_status()
        for content in (b"old", b"new"):
            kind = {"Content-Type": "application/octet-stream"}
            client.post("files/?name=app.conf", content=content, headers=kind).raise_for_status()
        targets = {row["name"]: row["id"] for row in client.get("targets/").json()["results"]}
        look_at(client, targets["web1"], "facts", "test")
        authority(client, web_servers.inventory()["hosts"][0]["host_key"])
        asked = client.post("proposals/", json={"request": "update nginx on web servers"})
        asked.raise_for_status()
    failed = desk.submit(read_step(BROKEN), read_step("uptime", "uptime"), targets="group:web")
    desk.wait(failed.id)
    running = desk.submit(read_step(gated(GATE, "before", "after")), targets="group:web")
    waiting = desk.submit(change_step("systemctl restart nginx", become=True), targets="group:web")
    yield Furniture(
        waiting=waiting.id,
        failed=failed.id,
        running=running.id,
        proposal=asked.json()["id"],
        target=targets["web1"],
        untrusted=targets["stranger"],
    )
    for name in web_servers.names:
        web_servers.raw(name, "touch", GATE)


def look_at(client: httpx.Client, target: int, *kinds: str) -> None:
    """Have a worker look, and wait until it has."""
    for kind in kinds:
        client.post(f"targets/{target}/{kind}/").raise_for_status()
    for _ in range(300):
        looks = client.get(f"targets/{target}/tests/").json()["results"]
        if all(look["state"] == "done" for look in looks):
            return
        time.sleep(0.1)
    raise AssertionError(f"the looks did not end: {looks}")


def authority(client: httpx.Client, key: str) -> None:
    """Trust what signs host certificates; here a machine's own key, which signs nothing."""
    key_type, blob = key.split()[:2]
    body = {"name": "site", "key_type": key_type, "key": blob, "patterns": ["web*"]}
    client.post("host-certificate-authorities/", json=body).raise_for_status()


def untrusted(installation: Installation, entry: dict[str, object]) -> None:
    """Import a target whose key nobody has looked at."""
    file = installation.data / "untrusted.json"
    file.write_text(httpx.Response(200, json={"hosts": [entry]}).text)
    installation.manage("import_inventory", str(file))


PAGES: dict[str, tuple[Role | None, Callable[[Furniture], str]]] = {
    "sign-in": (None, lambda _: reverse("sign-in")),
    "not-found": ("viewer", lambda _: "/nothing-is-here/"),
    "overview": ("operator", lambda _: reverse("overview")),
    "overview-of-approver": ("approver", lambda _: reverse("overview")),
    "proposal": ("operator", lambda there: reverse("proposal", args=[there.proposal])),
    "runs": ("operator", lambda _: reverse("runs") + "?target=web1"),
    "plan": ("approver", lambda there: reverse("run", args=[there.waiting])),
    "plan-of-requester": ("operator", lambda there: reverse("run", args=[there.waiting])),
    "run-failed": ("operator", lambda there: reverse("run", args=[there.failed])),
    "run-again": ("operator", lambda there: reverse("run-again", args=[there.failed])),
    "run-running": ("operator", lambda there: reverse("run", args=[there.running])),
    "targets": ("viewer", lambda _: reverse("targets")),
    "target": ("operator", lambda there: reverse("target", args=[there.target])),
    "target-untrusted": ("admin", lambda there: reverse("target", args=[there.untrusted])),
    "host-keys": ("admin", lambda _: reverse("host-keys")),
    "host-keys-trusted": ("viewer", lambda _: reverse("host-keys") + "?state=trusted"),
    "groups": ("admin", lambda _: reverse("groups")),
    "inventory-import": ("admin", lambda _: reverse("inventory-import")),
    "command": ("operator", lambda _: reverse("command")),
    "workflows": ("viewer", lambda _: reverse("workflows")),
    "files": ("admin", lambda _: reverse("files")),
    "workflow-diff": ("viewer", lambda _: reverse("workflow-diff", args=[WORKFLOW["name"]])),
    "workflow": ("operator", lambda _: reverse("workflow", args=[WORKFLOW["name"]])),
    "workflow-run": ("operator", lambda _: reverse("workflow-run", args=[WORKFLOW["name"]])),
}
# The administration's pages are made by django-unfold: what it brings is listed, anything else fails.
# Its icons to search and to sort are 18 pixels wide where WCAG 2.2 asks for 24.
ADMIN_PAGES = (
    "auth_user",
    "automation_target",
    "automation_hostkey",
    "automation_hostcertificateauthority",
    "credentials_credential",
)
KNOWN_IN_ADMIN = re.compile(r"target-size: .*(#searchbar-submit|sortremove|toggle|base-500|href=\"\?o=)")


def headings(page: Page) -> list[int]:
    """Levels of the visible headings in their order."""
    found: list[int] = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
            .filter(heading => heading.checkVisibility()).map(heading => Number(heading.tagName[1]))"""
    )
    return found


def too_wide(page: Page) -> int:
    """By how many pixels the page must be scrolled sideways."""
    pixels: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return pixels


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_the_page(
    stage: Stage, furniture: Furniture, shot: Shots, name: str, theme: Theme, width: int
) -> None:
    role, address = PAGES[name]
    page = stage.page(role, width, theme, forgives=("404",) if name == "not-found" else ())
    page.goto(address(furniture), wait_until="load")
    page.wait_for_timeout(300)  # what scripts add is looked at too
    shot(page, name)
    found = violations(page)
    assert not found, "\n".join(found)
    levels = headings(page)
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    assert too_wide(page) <= 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("model", ["index", *ADMIN_PAGES])
def test_administration_has_no_barrier_but_those_known(
    stage: Stage, shot: Shots, furniture: Furniture, model: str, theme: Theme
) -> None:
    del furniture
    page = stage.page("admin", theme=theme)
    page.goto(reverse("admin:index" if model == "index" else f"admin:{model}_changelist"))
    shot(page, f"admin-{model}")
    found = [violation for violation in violations(page) if not KNOWN_IN_ADMIN.match(violation)]
    assert not found, "\n".join(found)
