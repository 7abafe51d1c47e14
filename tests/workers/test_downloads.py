"""Files brought from targets, whole and checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from automation.models import OutputChunk, StoredFile
from automation.models.files import file_name
from tests.workers.spine import Spine

DOWNLOAD = """
    name: download
    steps:
      - name: fetch
        effect: read
        download: {from: FROM, limit: 4000000}
        verify: {bash: 'true'}
"""
CONTENT = b"\0binary \xff\n\x1eOPSPORTAL B\n" * 100_000


def download(place: Path) -> str:
    return DOWNLOAD.replace("FROM", str(place))


@pytest.fixture
def place(spine: Spine) -> Path:
    place = spine.scratch / "log file.gz"
    place.write_bytes(CONTENT)
    return place


def test_a_file_is_kept_with_its_attempt_and_is_no_output(spine: Spine, place: Path) -> None:
    spine.add_targets("a", "b")
    run = spine.run(download(place))
    assert run.status == "succeeded", [result.message for result in run.results.all()]
    files = list(StoredFile.objects.of_run(run))
    assert [file.attempt and file.attempt.result.run_target.name for file in files] == ["a", "b"]
    assert all(b"".join(file.content()) == CONTENT for file in files)
    assert {file.name for file in files} == {"log_file.gz"}
    assert run.results.first().outputs == {  # type: ignore[union-attr]
        "size": str(len(CONTENT)),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert not OutputChunk.objects.exists()


def test_what_is_larger_than_its_limit_is_not_sent(spine: Spine, place: Path) -> None:
    spine.add_targets("a")
    run = spine.run(download(place).replace("4000000", "1000"))
    result = run.results.get()
    assert (result.state, result.exit_code) == ("failed", 75)
    assert b"this step takes 1000 at most" in bytes(OutputChunk.objects.get().data)
    assert not StoredFile.objects.exists()


def test_a_file_that_is_not_there_is_told(spine: Spine, place: Path) -> None:
    spine.add_targets("a")
    run = spine.run(download(place.with_name("missing")))
    assert (run.results.get().exit_code, StoredFile.objects.count()) == (66, 0)


def test_a_download_is_no_file_for_uploads(spine: Spine, place: Path) -> None:
    spine.add_targets("a")
    spine.run(download(place))
    assert StoredFile.objects.named("log_file.gz") is None


@pytest.mark.parametrize(
    ("told", "kept"),
    [("a b", "a_b"), ("..", "file"), ("-rf", "rf"), ("é" * 200, "file"), (".profile", "profile")],
)
def test_a_targets_name_becomes_one_that_a_file_may_have(told: str, kept: str) -> None:
    assert file_name(told) == kept
