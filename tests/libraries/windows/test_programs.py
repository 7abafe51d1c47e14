"""The PowerShell that we send: read by a parser, for none runs here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import tree_sitter_pwsh
from tree_sitter import Language, Parser

import automation.libraries.windows.bootstrap as bootstrap
from automation.libraries.errors import LibraryError
from automation.libraries.windows import errors
from automation.libraries.windows.bootstrap import LINE, command_line, guard_program, stdin_of
from tests.libraries.test_errors import family

FOLDER = Path(bootstrap.__file__).parent


@pytest.mark.parametrize("name", ["bootstrap.ps1", "guard.ps1"])
def test_a_program_is_powershell_by_its_grammar_and_ascii(name: str) -> None:
    source = (FOLDER / name).read_bytes()
    assert source.isascii()
    assert not Parser(Language(tree_sitter_pwsh.language())).parse(source).root_node.has_error


def test_the_bootstrap_fits_cmd_exe_many_times_and_is_marked() -> None:
    program, arguments = command_line()
    assert len(" ".join((program, *arguments))) < 3000
    assert (FOLDER / "bootstrap.ps1").read_text().startswith("# OpsPortal bootstrap 1\n")


def test_the_guard_file_is_made_only_if_there_is_none() -> None:
    assert "'CreateNew'" in guard_program()


def test_an_order_is_lines_of_ascii_under_their_length_and_hash() -> None:
    head, *lines = stdin_of({"script": "Ω🙂" * 20_000}).decode("ascii").split("\n")
    text = "".join(lines)
    assert head == f"OPSPORTAL 1 {len(text)} {hashlib.sha256(text.encode()).hexdigest().upper()}"
    assert max(map(len, lines)) <= LINE and json.loads(text)["script"] == "Ω🙂" * 20_000


def test_each_class_of_windows_errors_has_a_code_of_its_own() -> None:
    ours = [member for member in family(LibraryError) if member.__module__ == errors.__name__]
    assert sorted(member.code for member in ours) == sorted(errors.CODES)
