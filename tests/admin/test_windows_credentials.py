"""Keytabs and client certificates through the administration pages."""

from __future__ import annotations

import base64
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from credentials.models import Credential
from tests.credentials.kerberos import keytab
from tests.libraries.windows.certificates import Authority

OPS = "ops@EXAMPLE.COM"


def add(admin: Client, **form: Any) -> Any:
    given = {"name": "fresh", "username": "ops", "enabled": "on"} | form
    return admin.post(reverse("admin:credentials_credential_add"), given)


def file_of(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("ops.keytab", base64.b64decode(text))


def test_a_keytab_is_sent_as_a_file_and_kept_when_none_is_sent(admin: Client) -> None:
    assert add(admin, kind="keytab", username=OPS, keytab=file_of(keytab(OPS))).status_code == 302
    made = Credential.objects.get()
    secret = made.secrets().keytab
    assert secret is not None and secret.reveal() == keytab(OPS)
    page = reverse("admin:credentials_credential_change", args=[made.pk])
    body = admin.get(page).content.decode()
    assert "multipart/form-data" in body and secret.reveal() not in body
    form = {"name": "renamed", "kind": "keytab", "username": OPS, "enabled": "on"}
    assert admin.post(page, form).status_code == 302
    kept = Credential.objects.get()
    assert (kept.name, kept.version, kept.secrets().keytab) == ("renamed", 1, secret)


def test_a_file_that_is_no_keytab_is_refused_in_words(admin: Client) -> None:
    answer = add(admin, kind="keytab", username=OPS, keytab=SimpleUploadedFile("x", b"not one"))
    assert answer.status_code == 200 and "This is no keytab of version 2" in answer.content.decode()
    assert not Credential.objects.exists()


def test_a_client_certificate_shows_its_end_and_can_be_disabled_after_it(admin: Client) -> None:
    certificate, key = Authority("logins").issue("ops", client=True)
    answer = add(admin, kind="client_certificate", certificate=certificate, private_key=key)
    assert answer.status_code == 302, answer.content.decode()
    made = Credential.objects.get()
    assert made.expires_at is not None and made.client_certificate_facts is not None
    body = admin.get(reverse("admin:credentials_credential_change", args=[made.pk])).content.decode()
    assert "issued by CN=logins" in body and key.splitlines()[1] not in body


def test_an_expired_certificate_is_refused(admin: Client) -> None:
    certificate, key = Authority("logins").issue("ops", client=True, expired=True)
    answer = add(admin, kind="client_certificate", certificate=certificate, private_key=key)
    assert answer.status_code == 200 and "The certificate expired on" in answer.content.decode()
