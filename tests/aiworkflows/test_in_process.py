"""The in-process transport: the same URLs, as the asking principal, without a socket."""

import pytest
from django.db import connection
from django.test import override_settings

from aiworkflows.client_errors import NotFoundError, ServiceFailedError
from aiworkflows.in_process import in_process_client
from tests.aiworkflows.conftest import MakePerson, Token
from tests.aiworkflows.fake_portal import Automation

pytestmark = pytest.mark.urls("tests.aiworkflows.fake_portal")


def test_it_acts_as_the_principal_with_the_token_it_was_given(
    automation: Automation, person: MakePerson
) -> None:
    ann, token = person("ann"), Token("runs:read")
    with in_process_client(ann, auth=token) as client:
        assert [target.name for target in client.targets()] == ["web-1", "web-2"]
    [seen] = automation.seen
    assert seen["principal"] is ann
    assert seen["auth"] is token
    assert seen["authorization"] is None


def test_the_principal_cannot_come_from_a_header(automation: Automation, person: MakePerson) -> None:
    client = in_process_client(person("ann"))
    client._wire._http.headers["opsportal.principal"] = "root"
    client._wire._http.headers["Cookie"] = "sessionid=stolen"
    list(client.groups())
    [seen] = automation.seen
    assert str(seen["principal"]) == "ann"
    assert seen["cookie"] is None


def test_bodies_keys_and_bytes_pass_unchanged(automation: Automation, person: MakePerson) -> None:
    client = in_process_client(person("ann"))
    client.submit("update-package", parameters={"package": "ü"}, idempotency_key="k")
    assert b"".join(client.logs(40, "web-1", "a step/with ü")) == b"\xff\x00caf\xc3\xa9"
    assert automation.seen[0]["body"]["parameters"] == {"package": "ü"}
    assert automation.seen[0]["key"] == "k"


def test_a_missing_address_is_a_typed_error(automation: Automation, person: MakePerson) -> None:
    with pytest.raises(NotFoundError):
        in_process_client(person("ann")).cancel(1)


def test_a_view_that_breaks_is_a_typed_error(automation: Automation, person: MakePerson) -> None:
    with pytest.raises(ServiceFailedError):
        list(in_process_client(person("ann")).workflows())


@override_settings(SECURE_SSL_REDIRECT=True, ALLOWED_HOSTS=[".example.org"])
def test_rules_about_hosts_and_tls_do_not_stand_in_the_way(
    automation: Automation, person: MakePerson
) -> None:
    list(in_process_client(person("ann")).groups())
    assert automation.seen[0]["secure"]


@pytest.mark.django_db(transaction=True)
def test_the_database_connection_of_the_caller_stays_open(automation: Automation, person: MakePerson) -> None:
    client = in_process_client(person("ann"))
    connection.ensure_connection()
    before = connection.connection
    list(client.groups())
    assert connection.connection is before
