"""The portal's files from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from automation.models import StoredFile
from tests.commandline.conftest import SetUp, Type

CONTENT = b"listen 80;\n\x00\xff"


def test_a_file_is_uploaded_listed_and_brought_back_byte_for_byte(
    environment: SetUp, type_in: Type, tmp_path: Path
) -> None:
    (tmp_path / "site.conf").write_bytes(CONTENT)
    mine = environment("operator")
    stored = type_in(mine, "upload", str(tmp_path / "site.conf"), "--json").json()
    assert (stored["name"], stored["size"]) == ("site.conf", len(CONTENT))
    listed = type_in(mine, "files", "--name", "site.conf").out.split("\t")
    assert listed[:3] == [str(stored["id"]), "site.conf", str(len(CONTENT))]
    back = type_in(mine, "download", str(stored["id"]), "--to", str(tmp_path / "back"))
    assert (back.code, (tmp_path / "back").read_bytes()) == (0, CONTENT), back.err


def test_a_file_that_is_there_already_is_not_overwritten(
    environment: SetUp, type_in: Type, tmp_path: Path
) -> None:
    mine = environment("operator")
    (tmp_path / "there").write_text("mine")
    number = type_in(mine, "upload", str(tmp_path / "there"), "--name", "other.txt", "--json").json()["id"]
    refused = type_in(mine, "download", str(number), "--to", str(tmp_path / "there"))
    assert (refused.code, "File exists" in refused.err) == (4, True)
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("upload", "missing.conf"), "cannot be read: No such file or directory"),
        (("download", "77", "--to", "x"), "[not_found]"),
    ],
)
def test_what_is_not_there_is_named(
    environment: SetUp, type_in: Type, arguments: tuple[str, ...], said: str
) -> None:
    refused = type_in(environment("operator"), *arguments)
    assert (refused.code, said in refused.err) == (4, True), refused.err
    assert not StoredFile.objects.exists()


def test_a_name_that_no_file_may_have_is_refused(environment: SetUp, type_in: Type, tmp_path: Path) -> None:
    (tmp_path / "a b").write_text("x")
    refused = type_in(environment("operator"), "upload", str(tmp_path / "a b"))
    assert (refused.code, "A file's name has letters, digits" in refused.err) == (4, True)
