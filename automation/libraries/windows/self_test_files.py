"""The part of the self-test that tries files: put in place, compared, replaced, brought back and fetched."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from automation.libraries.outputs import read_outputs
from automation.libraries.plain import PlainEnd
from automation.libraries.staging import LocalFile
from automation.libraries.types import OnOutput
from automation.libraries.windows.staging import FromBase64

FileScripts = Callable[[str, str], Mapping[str, str]]
"""From a place on the target and a file's SHA-256 to the scripts `run`, `check`, `undo` and `fetch`."""
FIRST = bytes(range(256)) * 400
SECOND = "Ω漢🙂\r\n".encode() * 20_000


class Files(Protocol):
    """What the trial does on the target. All raise the errors of the family."""

    def stage(self, file: LocalFile) -> str:
        """Bring the file; where on the target it lies."""

    def change(self, script: str, environment: Mapping[str, str]) -> tuple[str, int | None]:
        """Run a changing script in the envelope: its attempt and exit code."""

    def read(self, script: str, on_output: OnOutput) -> PlainEnd:
        """Run a reading script."""


def try_files(files: Files, place: str, scripts_for: FileScripts) -> str:
    """What went wrong, or nothing. The file at `place` is gone again where all went well."""
    first, second = (scripts_for(place, hashlib.sha256(each).hexdigest()) for each in (FIRST, SECOND))
    attempts = []
    for content, scripts in ((FIRST, first), (SECOND, second)):
        attempt, code = files.change(scripts["run"], {"OPSPORTAL_FILE": _staged(files, content)})
        if code != 0:
            return f"the upload ended with {code}"
        attempts.append(attempt)
    if _compared(files, second) != 0 or _compared(files, first) != 1:
        return "the check does not tell the new file from the former one"
    if wrong := _fetched(files, second["fetch"]):
        return wrong
    for scripts, attempt, after in ((second, attempts[1], 0), (first, attempts[0], 1)):
        _, code = files.change(scripts["undo"], {"OPSPORTAL_RUN_ATTEMPT": attempt, "OPSPORTAL_PHASE": "undo"})
        if code != 0 or _compared(files, first) != after:
            return f"undo ended with {code} and did not bring back what was there before"
    return ""


def _staged(files: Files, content: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        return files.stage(LocalFile(file, len(content), hashlib.sha256(content).hexdigest()))


def _compared(files: Files, scripts: Mapping[str, str]) -> int | None:
    return files.read(scripts["check"], _drop).exit_code


def _fetched(files: Files, script: str) -> str:
    came = bytearray()

    def keep(stream: str, data: bytes) -> None:
        if stream == "stdout":
            came.extend(data)

    end = files.read(script, FromBase64(keep))
    told = read_outputs(end.outputs).values
    if end.exit_code != 0 or bytes(came) != SECOND:
        return f"the download ended with {end.exit_code} and brought {len(came)} of {len(SECOND)} bytes"
    expected = {"size": str(len(SECOND)), "sha256": hashlib.sha256(SECOND).hexdigest()}
    return "" if told == expected else f"the download told {told}"


def _drop(_stream: str, _data: bytes) -> None:
    """Output that nobody wants to see."""
