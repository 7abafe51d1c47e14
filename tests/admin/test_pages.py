"""Every administration page opens, for the role admin alone, and shows no secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from aiworkflows.models import LearnedChoice
from automation.models import (
    ApiToken,
    EnvironmentDefault,
    Group,
    HostCertificateAuthority,
    HostKey,
    JobRun,
    Target,
)
from credentials.models import Credential
from tests.admin.conftest import PASSWORD, SUDO

Token = tuple[ApiToken, str]
SHOWN_MODELS = {
    "aiworkflows.LearnedChoice",
    "automation.ApiToken",
    "automation.EnvironmentDefault",
    "automation.Group",
    "automation.HostCertificateAuthority",
    "automation.HostKey",
    "automation.JobRun",
    "automation.Target",
    "automation.Workflow",
    "automation.WorkflowVersion",
    "auth.User",
    "credentials.Credential",
}


@pytest.fixture
def rows(credential: Credential, host_key: HostKey, run: JobRun, token: Token) -> None:
    """At least one row of every model."""
    HostCertificateAuthority.objects.create(name="site", key_type=host_key.key_type, key=host_key.key)
    LearnedChoice.objects.learn("give software-name some love", "reload-service")
    EnvironmentDefault.objects.create(environment="lab", credential=credential)


def addresses(kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for model in django_admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        first = model._default_manager.first()
        assert first is not None, f"there is no {model._meta.label} to look at"
        for kind in kinds:
            yield kind, reverse(f"{name}_{kind}", args=[] if kind in ("changelist", "add") else [first.pk])


def stored_secrets(token: Token) -> list[str]:
    """Everything that must never be in an answer: plain, as ciphertext, and as a hash."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM credentials_credential")
        sealed = [row[0] for row in cursor.fetchall()]
    hashes = [user.password for user in User.objects.all()]
    assert sealed
    assert hashes
    return [
        PASSWORD,
        SUDO,
        token[1],
        token[0].digest,
        *sealed,
        *hashes,
        *(text.split("$")[-1] for text in hashes),
    ]


def test_exactly_these_models_have_pages() -> None:
    assert {model._meta.label for model in django_admin.site._registry} == SHOWN_MODELS


@pytest.mark.usefixtures("rows")
def test_every_page_opens_or_is_refused_and_none_shows_a_secret(admin: Client, token: Token) -> None:
    secrets = stored_secrets(token)
    for kind, address in addresses(("changelist", "change", "history", "add", "delete")):
        answer = admin.get(address)
        allowed = (200,) if kind in ("changelist", "change", "history") else (200, 403)
        assert answer.status_code in allowed, address
        body = answer.content.decode()
        assert [secret for secret in secrets if secret in body] == [], address


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("automation_target", {"add", "delete"}),
        ("automation_group", {"add", "delete"}),
        ("credentials_credential", {"add", "delete"}),
        ("automation_environmentdefault", {"add", "delete"}),
        ("auth_user", {"add", "delete"}),
        ("automation_apitoken", {"add"}),
        ("automation_hostkey", set()),
        ("automation_jobrun", set()),
        ("automation_workflow", set()),
        ("automation_workflowversion", set()),
        ("aiworkflows_learnedchoice", {"delete"}),
    ],
)
@pytest.mark.usefixtures("rows")
def test_rows_are_made_and_deleted_only_where_that_is_meant(
    admin: Client, model: str, kinds: set[str]
) -> None:
    found = {
        kind
        for kind, address in addresses(("add", "delete"))
        if f"/{model.replace('_', '/')}/" in address and admin.get(address).status_code == 200
    }
    assert found == kinds


@pytest.mark.usefixtures("rows")
def test_only_the_role_admin_enters(people: dict[str, User], client: Client) -> None:
    for role in ("viewer", "operator", "approver", "mallory"):
        client.force_login(people[role])
        for _, address in addresses(("changelist", "change")):
            assert client.get(address, follow=False).status_code in (302, 403), (role, address)
        assert client.get(reverse("admin:login")).status_code == 403


def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, db: None) -> None:
    answer = client.get(reverse("admin:index"), follow=False)
    assert answer.status_code == 302
    assert client.get(reverse("admin:login")).status_code == 302


def test_only_administration_pages_may_evaluate_text(admin: Client) -> None:
    assert "'unsafe-eval'" in admin.get(reverse("admin:index")).headers["Content-Security-Policy"]
    assert "'unsafe-eval'" not in admin.get("/healthz").headers["Content-Security-Policy"]
    assert "'unsafe-eval'" not in admin.get("/api/v1/targets/").headers["Content-Security-Policy"]


def test_the_index_opens(admin: Client) -> None:
    body = admin.get(reverse("admin:index")).content.decode()
    assert "Targets" in body
    assert "://" not in body.replace("http://www.w3.org", "").replace("http://testserver", "")


def queries_of(admin: Client, address: str, counted: Any) -> int:
    with counted as context:
        assert admin.get(address).status_code == 200
    return len(context.captured_queries)


@pytest.mark.usefixtures("rows")
def test_lists_take_a_fixed_number_of_queries(
    admin: Client, people: dict[str, User], django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    lists = [address for _, address in addresses(("changelist",))]
    before = [queries_of(admin, address, django_assert_max_num_queries(40)) for address in lists]
    for number in range(30):
        login = Credential.objects.create(name=f"login{number}", kind="password", username="deploy")
        target = Target.objects.create(name=f"t{number}", address="192.0.2.1", credential=login)
        target.groups.add(Group.objects.create(name=f"g{number}"))
        HostKey.objects.saw(target, "ssh-ed25519", "QUFB", HostKey.State.PENDING)
        user = User.objects.create_user(f"user{number}")
        user.groups.set(people["admin"].groups.all())
        ApiToken.objects.issue(name=f"token{number}", user=user, kind="service", scopes=["runs:read"])
    assert [queries_of(admin, address, django_assert_max_num_queries(40)) for address in lists] == before


@pytest.mark.usefixtures("rows")
def test_no_log_entry_holds_a_secret(admin: Client, credential: Credential, token: Token) -> None:
    address = reverse("admin:credentials_credential_change", args=[credential.pk])
    form = {"name": "web login", "kind": "password", "username": "deploy", "password": "Another-one-42"}
    assert admin.post(address, form).status_code == 302
    written = "".join(str(entry.__dict__) for entry in LogEntry.objects.all())
    assert written
    assert [secret for secret in ["Another-one-42", *stored_secrets(token)] if secret in written] == []


def test_a_windows_target_is_made_with_fields_of_its_own(admin: Client) -> None:
    form = {
        "name": "win1",
        "address": "win1.example.org",
        "port": "22",
        "platform": "windows",
        "enabled": "on",
        "variables": "{}",
        "winrm_method": "kerberos",
        "winrm_service_name": "win1.corp.example.org",
        "winrm_https": "on",
    }
    answer = admin.post("/admin/automation/target/add/", form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    made = Target.objects.get(name="win1")
    assert (made.transport, made.port) == ("winrm", 5986)
    assert made.winrm == {"method": "kerberos", "service_name": "win1.corp.example.org"}


def test_a_password_over_plain_http_is_refused_beside_its_field(admin: Client) -> None:
    form = {"name": "win1", "address": "win1.example.org", "port": "5985", "platform": "windows"}
    answer = admin.post("/admin/automation/target/add/", form | {"variables": "{}", "winrm_method": "basic"})
    assert "would show the password" in str(answer.context["adminform"].form.errors["winrm_method"])
    assert not Target.objects.exists()


def test_a_linux_target_keeps_no_settings_of_windows(admin: Client, target: Target) -> None:
    form = {"name": "web1", "address": "web1.example.org", "port": "22", "platform": "linux"}
    form |= {"variables": "{}", "winrm_method": "ntlm", "environment": "prod"}
    answer = admin.post(f"/admin/automation/target/{target.pk}/change/", form)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    target.refresh_from_db()
    assert (target.transport, target.winrm, target.port) == ("ssh", {}, 22)
