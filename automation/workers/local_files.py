"""Files on this machine's disk, on their way between targets and database, for the threads that stream."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from automation.libraries.staging import LocalFile
from automation.libraries.types import OnOutput, Stream
from automation.models import StoredFile
from automation.models.files import file_name


@dataclass(frozen=True, slots=True)
class Landing:
    """Where the file that a step downloads is to be written, the name to keep it by, and its most bytes."""

    path: Path
    name: str
    limit: int

    @contextmanager
    def catching(self, other: OnOutput) -> Iterator[OnOutput]:
        """Writes what comes on stdout into the file; the rest goes to `other`."""
        with self.path.open("wb") as opened:

            def hear(stream: Stream, data: bytes) -> None:
                if stream == "stdout":
                    opened.write(data)
                else:
                    other(stream, data)

            yield hear


class LocalFiles:
    """Fetched once for a shard, before anything is sent; `problems` says what could not be had."""

    def __init__(
        self, planned: Mapping[str, Mapping[str, Any]], downloads: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """The plan's files to put on targets, and those to bring from there, by the place of their step."""
        wanted_at_all = planned or downloads
        self._folder = tempfile.TemporaryDirectory(prefix="opsportal-files-") if wanted_at_all else None
        self._downloads = {int(place): download for place, download in downloads.items()}
        self._by_step: dict[int, LocalFile] = {}
        self.problems: dict[int, str] = {}
        for place, wanted in planned.items():
            fetched = self._fetch(wanted)
            if fetched is None:
                self.problems[int(place)] = (
                    f"The file {wanted['name']} of the plan is no longer stored as it was approved."
                )
            else:
                self._by_step[int(place)] = fetched

    def of(self, step_index: int) -> LocalFile | None:
        return self._by_step.get(step_index)

    def landing(self, step_index: int, attempt: str, *, windows: bool) -> Landing | None:
        """Where this attempt's download goes; None where the step is none. `windows`: from such a target."""
        wanted = self._downloads.get(step_index)
        if wanted is None or self._folder is None:
            return None
        source = PureWindowsPath(wanted["from_windows"]) if windows else PurePosixPath(wanted["from"])
        name = file_name(source.name)
        return Landing(Path(self._folder.name) / attempt, name, int(wanted["limit"]))

    def close(self) -> None:
        """Delete them; a thread that reads one still has it open."""
        if self._folder is not None:
            self._folder.cleanup()

    def _fetch(self, wanted: Mapping[str, Any]) -> LocalFile | None:
        assert self._folder is not None  # noqa: S101  (there are files)
        path = Path(self._folder.name) / str(wanted["sha256"])
        if not path.exists():
            file = StoredFile.objects.filter(pk=wanted["file"]).first()
            if file is None or _written(file, path) != wanted["sha256"]:
                path.unlink(missing_ok=True)
                return None
        return LocalFile(path, wanted["size"], wanted["sha256"])


def _written(file: StoredFile, path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as opened:
        for piece in file.content():
            digest.update(piece)
            opened.write(piece)
    return digest.hexdigest()
