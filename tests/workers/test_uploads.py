"""Files put in place on targets, and the former ones brought back."""

from __future__ import annotations

import io
import json
import os
import pwd
from pathlib import Path

import pytest

from automation.definitions.errors import DefinitionError
from automation.models import FilePiece, JobRun, StoredFile
from tests.workers.spine import Spine

UPLOAD = """
    name: upload
    rollout: {canary: 0, on_failure: undo}
    steps:
      - name: put
        upload: {file: app.conf, to: 'TO', mode: '0640', owner: 'OWNER'}
        verify: {bash: '[ "$OPSPORTAL_PHASE" = undo ] || [ -s ''TO'' ]'}
      - {name: after, run: {bash: 'LAST'}}
"""
CONTENT = b"\0binary \xff and 'quotes'\n" * 40_000


def store(content: bytes = CONTENT, name: str = "app.conf") -> StoredFile:
    return StoredFile.objects.take_in(io.BytesIO(content), name=name, by=None)


def upload(to: Path, *, last: str = "true") -> str:
    owner = pwd.getpwuid(os.getuid()).pw_name
    return UPLOAD.replace("TO", str(to)).replace("OWNER", owner).replace("LAST", last)


@pytest.fixture
def place(spine: Spine) -> Path:
    folder = spine.scratch / "it's a $(folder)"
    folder.mkdir()
    return folder / "app.conf"


def only(place: Path) -> bool:
    """Nothing but the file lies in its directory."""
    return [each.name for each in place.parent.iterdir()] == [place.name]


def test_a_file_is_put_in_place_whole_with_its_mode(spine: Spine) -> None:
    place = spine.scratch / "app.conf"
    spine.add_targets("a")
    store(b"an older one")
    file = store()
    run = spine.run(upload(place))
    assert run.status == "succeeded", run.results.first()
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (CONTENT, 0o640)
    assert json.loads(run.header)["files"]["0"]["sha256"] == file.sha256


def test_an_odd_path_is_data(spine: Spine, place: Path) -> None:
    spine.add_targets("a")
    store()
    step = {"name": "put", "upload": {"file": "app.conf", "to": str(place)}}
    text = json.dumps({"name": "odd", "rollout": {"canary": 0}, "steps": [step]})
    assert spine.run(text).status == "succeeded"
    assert place.read_bytes() == CONTENT
    assert only(place)


def test_undo_brings_the_former_file_back_as_it_was(spine: Spine) -> None:
    place = spine.scratch / "sub" / "app.conf"
    place.parent.mkdir()
    place.write_bytes(b"former")
    place.chmod(0o604)
    spine.add_targets("a")
    store()
    run = spine.run(upload(place, last="exit 1"))
    assert run.results.get(step="put").undone is True
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (b"former", 0o604)
    assert only(place)


def test_undo_removes_a_file_that_was_not_there(spine: Spine) -> None:
    place = spine.scratch / "app.conf"
    spine.add_targets("a")
    store()
    run = spine.run(upload(place, last="exit 1"))
    assert run.results.get(step="put").undone is True
    assert not place.exists()


def test_a_link_is_replaced_and_comes_back(spine: Spine) -> None:
    elsewhere, place = spine.scratch / "elsewhere", spine.scratch / "app.conf"
    elsewhere.write_bytes(b"not to be touched")
    place.symlink_to(elsewhere)
    spine.add_targets("a")
    store()
    spine.run(upload(place, last=f"[ ! -L {place} ] && exit 1"))
    assert place.is_symlink()
    assert elsewhere.read_bytes() == b"not to be touched"


def test_where_it_cannot_go_nothing_is_changed(spine: Spine) -> None:
    spine.add_targets("a")
    store()
    run = spine.run(upload(spine.scratch / "missing" / "app.conf"))
    result = run.results.get(step="put")
    assert (result.state, result.exit_code, result.undone) == ("failed", 66, True)


def test_a_dry_run_compares_content_and_mode(spine: Spine) -> None:
    place = spine.scratch / "app.conf"
    spine.add_targets("a")
    store()

    def foretold() -> str:
        return spine.run(upload(place), dry_run=True).results.get(step="put").code

    assert foretold() == "check.would_change"
    place.write_bytes(CONTENT)
    place.chmod(0o600)
    assert foretold() == "check.would_change"
    place.chmod(0o640)
    assert foretold() == "check.already_so"


def test_a_file_nobody_stored_is_refused_at_submission(spine: Spine) -> None:
    spine.add_targets("a")
    store(name="app.config")
    told = r"steps\[0\].upload.file: there is no file 'app.conf'.*'app.config'"
    with pytest.raises(DefinitionError, match=told):
        spine.submit(upload(Path("/tmp/x")))
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("harm", ["deleted", "changed"])
def test_a_file_that_is_not_the_approved_one_any_more_is_not_sent(spine: Spine, harm: str) -> None:
    place = spine.scratch / "app.conf"
    spine.add_targets("a")
    file = store()
    run = spine.submit(upload(place))
    if harm == "deleted":
        file.delete()
    else:
        FilePiece.objects.filter(file=file, offset=0).update(data=b"evil")
    spine.drain()
    result = run.results.get(step="put")
    assert (result.state, result.code) == ("blocked", "file.missing")
    assert not place.exists()
