"""A real Chromium before the running product.

A pytest process of its own (`pytest tests/browser`): playwright keeps an event loop in the main thread, under
which Django refuses the queries of other tests. Nothing here touches the tests' own database.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.main_job.installation import PASSWORD, Installation
from tests.browser.stage import PEOPLE, Shots, Stage
from tests.browser.work import Desk
from tests.hosts.client import Hosts
from tests.hosts.fixtures import fresh_hosts as fresh_hosts
from tests.hosts.fixtures import host_factory as host_factory
from tests.hosts.fixtures import hosts as hosts

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that asks for another host is told on by its watch; this keeps the request on the machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, metavar="DIR", help="keep a picture of every page in DIR")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without it these tests fail, as there is nothing to stand in for it."""
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses to have one as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *sandbox])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("portal"))
    try:
        made.start()
        made.manage(
            "create_user", PEOPLE["admin"], "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\n"
        )
        yield made
    finally:
        made.portal.end()
        made.portal.clean_up()


@pytest.fixture(scope="session")
def whole_stage(installation: Installation, browser: Browser) -> Stage:
    return Stage(installation, browser)


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    """Browsers of one test. It fails when any of its pages had an error, however the test itself went."""
    yield whole_stage
    problems = whole_stage.problems()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page_of(stage: Stage) -> Callable[..., Page]:
    """`page_of(role, width, theme)`: a new window of a person signed in."""
    return stage.page


@pytest.fixture(scope="session")
def shot(pytestconfig: pytest.Config) -> Shots:
    return Shots(pytestconfig.getoption("--screenshots"))


@pytest.fixture(scope="session")
def web_servers(installation: Installation, hosts: Hosts) -> Hosts:
    """Three real hosts in the inventory as production, their keys trusted: changes there need an approval."""
    installation.load({"hosts": [{**entry, "environment": "prod"} for entry in hosts.inventory()["hosts"]]})
    return hosts


@pytest.fixture(scope="session")
def desk(installation: Installation) -> Desk:
    return Desk(installation)
