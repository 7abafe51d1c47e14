"""Files by API: bytes in, bytes out, and who may."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from rest_framework.test import APIClient

from automation.models import StoredFile, files

URL = "/api/v1/files/"
CONTENT = bytes(range(256)) * 9000


def send(client: APIClient, content: bytes, name: str = "app.conf") -> Any:
    anything: Any = client
    return anything.generic("POST", f"{URL}?name={name}", content, content_type="application/octet-stream")


def test_a_file_comes_back_as_it_was_sent(clients: dict[str, APIClient]) -> None:
    made = send(clients["operator"], CONTENT)
    told = made.json()
    assert (made.status_code, told["size"]) == (201, len(CONTENT))
    assert told["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    back: Any = clients["viewer"].get(told["links"]["content"])
    assert b"".join(back.streaming_content) == CONTENT
    assert back.headers["Content-Disposition"] == 'attachment; filename="app.conf"'


def test_the_newest_of_a_name_comes_first_and_none_is_replaced(clients: dict[str, APIClient]) -> None:
    for content in (b"1", b"", b"333"):
        send(clients["operator"], content)
    send(clients["operator"], b"x", name="other")
    rows = clients["viewer"].get(URL, {"name": "app.conf"}).json()["results"]
    assert [row["size"] for row in rows] == [3, 0, 1]


@pytest.mark.parametrize("name", ["", "a/b", "..", "-rf", "a b", "x" * 101])
def test_a_name_that_cannot_be_one_is_refused(clients: dict[str, APIClient], name: str) -> None:
    answer = send(clients["operator"], b"x", name=name)
    assert (answer.status_code, answer.json()["code"]) == (400, "file.name")


def test_what_is_too_large_is_refused_and_not_kept(
    clients: dict[str, APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A real one would take the suite's time to send.
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1000)
    answer = send(clients["operator"], b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "file.too_large")
    assert not StoredFile.objects.exists()


def test_who_may_do_what(clients: dict[str, APIClient]) -> None:
    pk = send(clients["operator"], b"x").json()["id"]
    assert send(clients["viewer"], b"x").status_code == 403
    assert send(clients["ai"], b"x").json()["code"] == "person.required"
    assert clients["mallory"].get(f"{URL}{pk}/content/").status_code == 403
    assert clients["operator"].delete(f"{URL}{pk}/").status_code == 403
    assert clients["admin"].delete(f"{URL}{pk}/").status_code == 204
    assert clients["viewer"].get(f"{URL}{pk}/").status_code == 404
