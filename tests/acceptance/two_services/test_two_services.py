"""From a sentence at the AI service to a result of the automation service, every part real."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError, NotAuthenticatedError
from aiworkflows.client_types import FINAL_RUN_STATES
from tests.acceptance.main_job.installation import PASSWORD
from tests.acceptance.two_services.conftest import Browser, TwoServices
from tests.database import execute_in
from tests.opsportal.portal import wait_until

pytestmark = pytest.mark.slow
SENTENCE = "how full are the disks on web servers"
PERSON = ("inventory:read", "runs:read", "runs:submit", "runs:control", "proposals:write")


@pytest.fixture(scope="module")
def clara(services: TwoServices) -> Iterator[AutomationClient]:
    """She asks at the AI service; at the automation service she may do anything."""
    token = services.automation.token("clara", "person", "runs:read", "runs:submit", "runs:approve")
    with services.automation.client(token) as client:
        yield client


@pytest.fixture(scope="module")
def anna(services: TwoServices) -> Iterator[AutomationClient]:
    token = services.automation.token("anna", "person", "runs:read", "runs:approve")
    with services.automation.client(token) as client:
        yield client


def ask(browser: Browser, sentence: str = SENTENCE) -> str:
    """Type the sentence and have its plan made; the path of the proposal."""
    path = browser.send("/ask/", request=sentence).url.path
    assert re.fullmatch(r"/proposals/\d+/", path), path
    page = browser.send(f"{path}submit/", reason="a look before the update")
    assert page.status_code == 200, page.text
    return path


def followed(browser: Browser, path: str) -> dict[str, Any]:
    """The proposal's run as the AI service tells it."""
    answer: dict[str, Any] = browser.get(f"/api/v1{path}run/").json()
    return answer


def test_a_sentence_at_the_ai_service_becomes_a_result_that_is_followed_there(
    services: TwoServices, clara: AutomationClient, anna: AutomationClient
) -> None:
    browser = Browser(services.ai, "clara")
    path = ask(browser)
    held = followed(browser, path)
    assert (held["status"], held["source"]["requested_by"], held["author_kind"]) == ("held", "clara", "ai")
    assert "signed in there as clara" in browser.get(path).text

    clara.start(held["id"], held["plan_hash"])
    assert followed(browser, path)["status"] == "awaiting_approval"
    with pytest.raises(AutomationError) as refused:
        clara.approve(held["id"], held["plan_hash"])
    assert refused.value.code == "approval.requester"

    anna.approve(held["id"], held["plan_hash"], "looked at it")
    done = wait_until(
        lambda: (now := followed(browser, path))["status"] in FINAL_RUN_STATES and now,
        seconds=120,
        what="no end",
    )
    assert done["status"] == "succeeded", done
    found = {(row["target"], row["state"]) for row in done["results"]}
    assert found == {("target-001", "succeeded"), ("target-002", "succeeded")}
    assert 'data-state="succeeded"' in browser.get(path).text


def test_a_token_goes_on_to_the_automation_service_so_its_owner_asks_there_too(services: TwoServices) -> None:
    token = services.automation.token("olivia", "person", *PERSON)
    with services.ai.client(token) as ai, services.automation.client(token) as automation:
        run = ai.submit_proposal(ai.propose(SENTENCE).id)
        assert automation.wait(run.id, timeout=120).status == "succeeded"
    asked = execute_in(
        services.automation.data,
        "SELECT username, kind FROM automation_jobrun r JOIN automation_participant p ON p.run_id = r.id "
        "JOIN auth_user u ON u.id = p.user_id LEFT JOIN automation_apitoken t ON t.id = r.token_id "
        "WHERE r.id = ?",
        run.id,
    )
    assert asked == [("olivia", "person")]


def test_a_token_is_refused_when_it_is_unknown_or_its_owner_is(services: TwoServices) -> None:
    with services.ai.client("ops_nobody-has-this") as ai, pytest.raises(NotAuthenticatedError) as refused:
        ai.propose(SENTENCE)
    assert refused.value.code == "token.invalid"
    services.automation.manage("create_user", "otto", "--role", "operator")
    token = services.automation.token("otto", "person", *PERSON)
    with (
        services.ai.client(token) as ai,
        pytest.raises(NotAuthenticatedError, match="otto is no active user"),
    ):
        ai.propose(SENTENCE)


def test_somebody_unknown_to_the_automation_service_is_told_so(services: TwoServices) -> None:
    services.ai.manage("create_user", "ines", "--role", "operator", "--password-stdin", stdin=PASSWORD)
    browser = Browser(services.ai, "ines")
    path = browser.send("/ask/", request=SENTENCE).url.path
    answer = browser.send(f"{path}submit/", reason="")
    assert answer.status_code == 400
    assert "ines" in answer.text.split('role="alert"')[1].split("</div>")[0]


def test_each_service_serves_its_own_pages_and_tables_only(services: TwoServices) -> None:
    ai, automation = Browser(services.ai, "olivia"), Browser(services.automation, "olivia")
    for path in ("/targets/", "/runs/", "/workflows/", "/api/v1/targets/", "/api/v1/runs/"):
        assert (ai.get(path).status_code, automation.get(path).status_code) == (404, 200), path
    assert (ai.get("/api/v1/proposals/").status_code, automation.get("/api/v1/proposals/").status_code) == (
        200,
        404,
    )
    assert "What do you want done?" in ai.get("/").text
    assert "What do you want done?" not in automation.get("/").text
    tables = {
        installation: {
            name.partition("_")[0]
            for (name,) in execute_in(installation.data, "SELECT app FROM django_migrations")
        }
        for installation in (services.ai, services.automation)
    }
    assert {"automation", "credentials", "django"} & tables[services.ai] == set()
    assert "aiworkflows" not in tables[services.automation]


def test_the_administration_pages_have_what_the_service_has(services: TwoServices) -> None:
    services.ai.manage("create_user", "adam", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    browser = Browser(services.ai, "adam")
    page = browser.get("/admin/")
    assert page.status_code == 200
    assert "Learned choices" in page.text
    assert "Host keys" not in page.text
    assert browser.get("/admin/auth/user/").status_code == 200


def test_the_ai_service_has_no_workers(services: TwoServices) -> None:
    assert len(services.ai.portal.pids()) == 2  # up and web
    services.ai.manage("opsworker", "execution", status=1)


def test_readyz_tells_that_the_automation_service_refuses_the_token_or_is_away(services: TwoServices) -> None:
    assert services.ai.portal.get("/readyz")[0] == 200
    execute_in(services.automation.data, "UPDATE automation_apitoken SET expires_at = created_at")
    status, answer = services.ai.portal.get("/readyz")
    assert (status, answer["checks"]["database"]["ok"]) == (503, True)
    assert "refuses the token" in answer["checks"]["automation"]["reason"]
    services.automation.portal.end()
    status, answer = services.ai.portal.get("/readyz")
    assert status == 503
    assert "cannot be reached" in answer["checks"]["automation"]["reason"]
    assert services.ai.portal.get("/healthz")[0] == 200
