"""The page of files that steps put on targets."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from automation.models import StoredFile
from automation.models import files as stored_files
from tests.api.conftest import person

pytestmark = pytest.mark.django_db
CONTENT = b"listen 80;\n\x00\xff"


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(person(f"{role}-1", role))
    return client


def sent(name: str = "site.conf", content: bytes = CONTENT) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_stored_file_is_the_newest_of_its_name_and_comes_back_as_it_was() -> None:
    client = client_of("operator")
    for content in (b"old", CONTENT):
        answer = client.post("/files/", {"file": sent(content=content)}, follow=True)
        assert b"Stored site.conf: runs planned from now on take this one." in answer.content
    newest = StoredFile.objects.named("site.conf")
    assert newest is not None
    assert newest.size == len(CONTENT)
    shown = client.get("/files/").content.decode()
    assert (shown.count("site.conf</a>"), shown.count(">older<")) == (2, 1)
    back = client.get(f"/api/v1/files/{newest.pk}/content/")
    assert b"".join(back.streaming_content) == CONTENT  # type: ignore[attr-defined]  # of a streamed answer


def test_a_name_may_be_given_and_a_wrong_one_is_told_with_nothing_stored() -> None:
    client = client_of("operator")
    client.post("/files/", {"file": sent("My file (1).conf"), "name": "app.conf"})
    client.post("/files/", {"file": sent("My file (1).conf")})
    assert sorted(StoredFile.objects.values_list("name", flat=True)) == ["My_file__1_.conf", "app.conf"]
    refused = client.post("/files/", {"file": sent(), "name": "../etc/passwd"})
    assert refused.status_code == 422
    assert b"A file&#x27;s name has letters, digits" in refused.content
    assert StoredFile.objects.count() == 2


def test_a_file_that_is_too_large_or_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # 64 MiB of a test would prove no more.
    monkeypatch.setattr(stored_files, "MAX_FILE_BYTES", 5)
    client = client_of("operator")
    assert b"A file has at most 64 MiB." in client.post("/files/", {"file": sent()}).content
    assert b"Choose a file." in client.post("/files/", {}).content
    assert not StoredFile.objects.exists()


def test_who_only_looks_can_store_nothing_and_only_an_administrator_deletes() -> None:
    assert client_of("viewer").post("/files/", {"file": sent()}).status_code == 403
    operator, admin = client_of("operator"), client_of("admin")
    operator.post("/files/", {"file": sent()})
    file = StoredFile.objects.get()
    assert b"/delete/" not in operator.get("/files/").content
    assert operator.post(f"/files/{file.pk}/delete/").status_code == 403
    assert admin.post(f"/files/{file.pk}/delete/").status_code == 302
    assert not StoredFile.objects.exists()
