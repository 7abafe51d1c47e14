"""Secrets through the administration pages: written, kept, removed, never shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from automation.models import Target
from credentials.models import Credential
from tests.admin.conftest import PASSWORD, SUDO


def post(admin: Client, credential: Credential, **changes: Any) -> Any:
    form = {
        "name": credential.name,
        "kind": credential.kind,
        "username": credential.username,
        "enabled": "on",
    }
    return admin.post(reverse("admin:credentials_credential_change", args=[credential.pk]), form | changes)


def stored(credential: Credential) -> dict[str, str]:
    return {
        name: secret.reveal() for name, secret in Credential.objects.get(pk=credential.pk).secrets().items()
    }


def test_blank_keeps_what_is_stored(admin: Client, credential: Credential) -> None:
    assert post(admin, credential, username="other").status_code == 302
    assert stored(credential) == {"password": PASSWORD, "become_password": SUDO}
    kept = Credential.objects.get(pk=credential.pk)
    assert (kept.username, kept.version) == ("other", credential.version)


def test_a_typed_secret_replaces_only_that_one(admin: Client, credential: Credential) -> None:
    assert post(admin, credential, password=" with spaces ").status_code == 302
    assert stored(credential) == {"password": " with spaces ", "become_password": SUDO}


def test_a_tick_removes(admin: Client, credential: Credential) -> None:
    assert post(admin, credential, remove_become_password="on").status_code == 302
    assert stored(credential) == {"password": PASSWORD}


def test_what_makes_a_credential_usable_cannot_be_removed(admin: Client, credential: Credential) -> None:
    answer = post(admin, credential, remove_password="on")
    assert answer.status_code == 200
    assert "Enter the password." in answer.content.decode()
    assert stored(credential)["password"] == PASSWORD


def test_a_refused_form_shows_nothing_of_what_was_typed(admin: Client, credential: Credential) -> None:
    typed = {
        "password": "typed-1\x07",
        "private_key": "typed-2",
        "become_password": "typed-3",
        "kind": "private_key",
    }
    answer = post(admin, credential, **typed)
    assert answer.status_code == 200
    body = answer.content.decode()
    assert [text for text in ("typed-1", "typed-2", "typed-3", PASSWORD, SUDO) if text in body] == []


def test_the_page_says_which_secrets_are_set(admin: Client, credential: Credential) -> None:
    body = admin.get(reverse("admin:credentials_credential_change", args=[credential.pk])).content.decode()
    assert body.count("Set. Leave blank to keep it.") == 2
    assert body.count("Not set.") == 4


def test_a_new_credential_is_stored_with_its_secret(admin: Client) -> None:
    form = {
        "name": "fresh",
        "kind": "password",
        "username": "root",
        "enabled": "on",
        "password": "Brand-new-1",
    }
    assert admin.post(reverse("admin:credentials_credential_add"), form).status_code == 302
    assert stored(Credential.objects.get(name="fresh")) == {"password": "Brand-new-1"}


def test_the_page_names_the_targets_that_use_it(
    admin: Client, target: Target, credential: Credential
) -> None:
    body = admin.get(reverse("admin:credentials_credential_change", args=[credential.pk])).content.decode()
    assert reverse("admin:automation_target_change", args=[target.pk]) in body


@pytest.mark.parametrize("action", ["page", "list"])
def test_what_a_target_logs_in_with_cannot_be_deleted(
    admin: Client, target: Target, credential: Credential, action: str
) -> None:
    if action == "page":
        admin.post(reverse("admin:credentials_credential_delete", args=[credential.pk]), {"post": "yes"})
    else:
        form = {"action": "delete_selected", "_selected_action": [credential.pk], "post": "yes"}
        admin.post(reverse("admin:credentials_credential_changelist"), form)
    assert Credential.objects.filter(pk=credential.pk).exists()
    del target


def test_a_login_notes_when_the_credential_was_used(credential: Credential) -> None:
    credential.used()
    assert Credential.objects.get(pk=credential.pk).last_used_at is not None
