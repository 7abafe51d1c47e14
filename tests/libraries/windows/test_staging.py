"""Files to and from a Windows target: in pieces, whole, and never more than asked for."""

from __future__ import annotations

import base64
import hashlib
import time
from pathlib import Path

import pytest
import tree_sitter_pwsh
from tree_sitter import Language, Parser

from automation.definitions.step_kinds import Download, Upload
from automation.definitions.windows_file_scripts import windows_fetching_script, windows_file_scripts
from automation.libraries.errors import ConnectionLost, SpoolUnusable
from automation.libraries.staging import LocalFile
from automation.libraries.windows import staging
from automation.libraries.windows.staging import PIECE, FromBase64, stage_on_windows
from automation.libraries.windows.wsman import SEND_PIECE
from opsportal.simulated_windows import SimulatedWindows
from tests.libraries.windows.conftest import Caller


def local_file(folder: Path, content: bytes) -> LocalFile:
    place = folder / "file"
    place.write_bytes(content)
    return LocalFile(place, len(content), hashlib.sha256(content).hexdigest())


def stage(caller: Caller, file: LocalFile, spool: str) -> str | None:
    deadline = time.monotonic() + 20
    return stage_on_windows(caller.connection, file, spool=spool, control=caller.control, deadline=deadline)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 5 * PIECE - 1])
def test_a_file_arrives_whole_in_pieces_that_every_target_takes(
    windows: SimulatedWindows, caller: Caller, tmp_path: Path, size: int
) -> None:
    content = bytes(number % 251 for number in range(size))
    spool = caller.probe().spool or ""
    place = stage(caller, local_file(tmp_path, content), spool)
    assert place is not None and windows.machine.read_bytes(place) == content


def test_a_line_of_a_file_fits_a_message_and_is_read_only_when_it_is_sent(tmp_path: Path) -> None:
    file = local_file(tmp_path, b"x" * (3 * PIECE))
    lines = staging._lines({"mode": "take"}, file)
    next(lines)
    assert len(next(lines)) <= SEND_PIECE
    with file.path.open("ab") as opened:
        opened.write(b"y")  # seen by whoever has not read it all
    assert b"".join(base64.b64decode(line) for line in lines) == b"x" * (2 * PIECE) + b"y"


def test_a_target_without_the_spool_is_told_and_nothing_has_begun(caller: Caller, tmp_path: Path) -> None:
    with pytest.raises(SpoolUnusable) as caught:
        stage(caller, local_file(tmp_path, b"x"), r"C:\nowhere")
    assert caught.value.sent is False


def test_lines_of_a_file_become_its_bytes_however_they_are_cut() -> None:
    content = bytes(range(256)) * 3
    text = b"".join(base64.b64encode(content[at : at + 100]) + b"\r\n" for at in range(0, 768, 100))
    heard = bytearray()
    reader = FromBase64(lambda stream, data: heard.extend(data))
    for at in range(0, len(text), 7):
        reader("stdout", text[at : at + 7])
    assert bytes(heard) == content


@pytest.mark.parametrize("data", [b"no base64!\n", b"A" * (1024 * 1024 + 1)])
def test_what_is_no_base64_or_never_ends_is_refused(data: bytes) -> None:
    with pytest.raises(ConnectionLost):
        FromBase64(lambda stream, piece: None)("stdout", data)


def test_our_powershell_for_files_parses_whatever_the_path_holds() -> None:
    """Parsed, not run: what a real PowerShell makes of it only a real Windows can tell."""
    place = r"C:\it's ’ $(here) `n;\app.conf"
    parser = Parser(Language(tree_sitter_pwsh.language()))
    texts = list(windows_file_scripts(Upload(file="a", to_windows=place), sha256="0" * 64).values())
    texts.append(windows_fetching_script(Download.model_validate({"from_windows": place})))
    texts.append((Path(staging.__file__).parent / "stage.ps1").read_text())
    assert not [text for text in texts if parser.parse(text.encode()).root_node.has_error]
