"""The files of a run's plan on this machine's disk, for the threads that stream them to targets."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automation.libraries.staging import LocalFile
from automation.models import StoredFile


class LocalFiles:
    """Fetched once for a shard, before anything is sent; `problems` says what could not be had."""

    def __init__(self, planned: Mapping[str, Mapping[str, Any]]) -> None:
        """`planned`: the plan's files by the place of their step."""
        self._folder = tempfile.TemporaryDirectory(prefix="opsportal-files-") if planned else None
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
