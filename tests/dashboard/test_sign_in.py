"""The door for people, and what strangers and the lost are shown."""

import pytest
from django.core.cache import cache
from django.test import Client

from opsportal.sign_in import WRONG_TRIES
from tests.dashboard.people import PASSWORD, browser_of, person

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.dashboard.urls")]
WRONG = {"username": "ann", "password": "not this one"}


@pytest.fixture(autouse=True)
def _no_earlier_tries() -> None:
    cache.clear()


def test_a_stranger_is_sent_to_sign_in_and_back_to_the_page_that_was_asked_for(client: Client) -> None:
    person("ann", "viewer")
    answer = client.get("/runs/?q=web")
    assert answer.headers["Location"] == "/sign-in/?next=/runs/%3Fq%3Dweb"
    signed = {"username": "ann", "password": PASSWORD, "next": "/runs/?q=web"}
    assert client.post("/sign-in/", signed).headers["Location"] == "/runs/?q=web"


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_sign_in_leads_nowhere_else(client: Client, place: str) -> None:
    person("ann", "viewer")
    answer = client.post("/sign-in/", {"username": "ann", "password": PASSWORD, "next": place})
    assert answer.headers["Location"] == "/"


def test_a_wrong_password_is_told_and_the_name_is_kept(client: Client) -> None:
    person("ann", "viewer")
    page = client.post("/sign-in/", WRONG).content.decode()
    assert "Name and password do not match" in page
    assert 'value="ann"' in page and WRONG["password"] not in page


def test_an_empty_form_says_what_is_missing(client: Client) -> None:
    page = client.post("/sign-in/", {}).content.decode()
    assert "Enter your user name." in page and "Enter your password." in page


def test_after_five_wrong_tries_even_the_right_password_has_to_wait(client: Client) -> None:
    person("ann", "viewer")
    for _ in range(WRONG_TRIES):
        client.post("/sign-in/", WRONG)
    page = client.post("/sign-in/", {"username": "ann", "password": PASSWORD}).content.decode()
    assert "Too many wrong tries" in page


def test_wrong_tries_from_elsewhere_keep_nobody_out(client: Client) -> None:
    person("ann", "viewer")
    for _ in range(WRONG_TRIES + 1):
        client.post("/sign-in/", WRONG, REMOTE_ADDR="192.0.2.7")
    answer = client.post("/sign-in/", {"username": "ann", "password": PASSWORD}, REMOTE_ADDR="192.0.2.8")
    assert answer.status_code == 302


def test_signing_out_is_a_post_and_a_link_does_nothing() -> None:
    client = browser_of(person("ann", "viewer"))
    assert client.get("/sign-out/").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert "You are signed out" in client.get("/sign-in/").content.decode()
    assert client.get("/").status_code == 302


def test_a_fragment_asked_for_after_the_session_ended_has_the_page_reloaded(client: Client) -> None:
    answer = client.get("/now/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (204, "true")


def test_a_page_that_is_not_there_is_told_in_the_portal_s_look() -> None:
    answer = browser_of(person("ann", "viewer")).get("/nowhere/")
    assert answer.status_code == 404
    assert "Nothing is here" in answer.content.decode() and "portal-nav" in answer.content.decode()


def test_a_form_without_its_token_is_told_what_to_do() -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/sign-in/", WRONG)
    assert answer.status_code == 403
    assert "Load the page again" in answer.content.decode()


def test_a_mistake_of_the_portal_is_told_without_asking_the_database() -> None:
    client = Client(raise_request_exception=False)
    answer = client.get("/broken/")
    assert answer.status_code == 500
    assert "The portal made a mistake" in answer.content.decode()


def test_the_navigation_leaves_out_what_a_person_may_not_use() -> None:
    page = browser_of(person("ann", "viewer")).get("/").content.decode()
    assert 'href="/runs/"' in page and 'href="/admin/"' not in page


def test_the_current_page_is_marked_in_the_navigation() -> None:
    page = browser_of(person("ann", "viewer")).get("/runs/").content.decode()
    assert 'href="/runs/" aria-current="page"' in page
    assert 'href="/" aria-current="page"' not in page


def test_pages_may_run_no_script_and_take_no_style_but_the_portal_s_files(client: Client) -> None:
    policy = client.get("/sign-in/").headers["Content-Security-Policy"]
    for part in ("script-src 'self'", "style-src 'self'", "connect-src 'self'"):
        assert part in policy.split("; ")
