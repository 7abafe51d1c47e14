"""Files put in place on Windows targets and brought from there. The target is simulated, WinRM is real."""

from __future__ import annotations

import hashlib

import pytest

from automation.definitions.errors import DefinitionError
from automation.definitions.schema import load_workflow
from automation.models import OutputChunk, StoredFile
from automation.plan import PlanError
from opsportal.simulated_windows import Break, SimulatedWindows
from tests.workers.spine import Spine
from tests.workers.test_uploads import CONTENT, store
from tests.workers.windows import WindowsFleet

TO = r"C:\it's ’ here\app.conf"
UPLOAD = """
    name: upload
    rollout: {canary: 0, on_failure: undo}
    steps:
      - name: put
        upload: {file: app.conf, to: /tmp/opsportal-never, to_windows: "TO"}
      - {name: after, run: {bash: 'true', powershell: 'exit LAST'}}
"""
DOWNLOAD = r"""
    name: download
    steps:
      - name: fetch
        effect: read
        download: {from_windows: 'C:\logs\start log.bin', limit: 4000000}
"""
LOG = r"C:\logs\start log.bin"


def upload(last: int = 0) -> str:
    return UPLOAD.replace("TO", TO.replace("\\", "\\\\")).replace("LAST", str(last))


@pytest.fixture
def target(windows: WindowsFleet) -> SimulatedWindows:
    simulated = windows.add("windows-1")
    simulated.machine.make_folder(TO.rpartition("\\")[0])
    store()
    return simulated


def test_a_file_is_put_in_place_whole_at_an_odd_path(spine: Spine, target: SimulatedWindows) -> None:
    run = spine.run(upload())
    assert run.status == "succeeded", [each.message for each in run.results.all()]
    assert target.machine.read_bytes(TO) == CONTENT


def test_a_file_that_is_there_already_is_not_sent_again(spine: Spine, target: SimulatedWindows) -> None:
    spine.run(upload())
    spine.run(upload())
    assert target.machine.count("file staged") == 1
    assert target.machine.count("file put in place") == 2


@pytest.mark.parametrize("former", [b"former \xff", None])
def test_undo_brings_the_former_file_back_or_removes_a_new_one(
    spine: Spine, target: SimulatedWindows, former: bytes | None
) -> None:
    if former is not None:
        target.machine.write_bytes(TO, former)
    run = spine.run(upload(last=1))
    assert run.results.get(step="put").undone is True
    assert target.machine.read_bytes(TO) == former


def test_where_it_cannot_go_nothing_is_changed(spine: Spine, target: SimulatedWindows) -> None:
    target.machine.remove_folder(TO.rpartition("\\")[0])
    result = spine.run(upload()).results.get(step="put")
    assert (result.state, result.exit_code) == ("failed", 66)
    assert target.machine.read_bytes(TO) is None


def test_a_dry_run_compares_the_content(spine: Spine, target: SimulatedWindows) -> None:
    def foretold() -> str:
        return spine.run(upload(), dry_run=True).results.get(step="put").code

    assert foretold() == "check.would_change"
    target.machine.write_bytes(TO, CONTENT)
    assert foretold() == "check.already_so"


@pytest.mark.parametrize("verb", ["Command", "Send", "Receive"])
@pytest.mark.parametrize("fault", [Break.DROP, Break.LOSE_REPLY])
def test_a_connection_lost_while_a_file_is_staged_puts_it_in_place_once_at_most(
    spine: Spine, target: SimulatedWindows, fault: Break, verb: str
) -> None:
    target.inject(fault, verb, skip=4)
    run = spine.run(upload())
    placed = target.machine.count("file put in place")
    assert placed == (1 if run.results.get(step="put").state == "succeeded" else 0)


def test_a_download_is_kept_whole_and_is_no_output(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1").machine.write_bytes(LOG, CONTENT)
    run = spine.run(DOWNLOAD)
    assert run.status == "succeeded", run.results.get().message
    file = StoredFile.objects.of_run(run).get()
    assert (file.name, b"".join(file.content())) == ("start_log.bin", CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert run.results.get().outputs == {"size": str(len(CONTENT)), "sha256": sha256}
    assert not OutputChunk.objects.exists()


def test_a_download_over_its_limit_or_of_nothing_is_told(spine: Spine, windows: WindowsFleet) -> None:
    simulated = windows.add("windows-1")
    assert spine.run(DOWNLOAD).results.get().exit_code == 66
    simulated.machine.write_bytes(LOG, CONTENT)
    result = spine.run(DOWNLOAD.replace("4000000", "1000")).results.get()
    assert (result.state, result.exit_code) == ("failed", 75)
    assert not StoredFile.objects.exists()


def test_a_step_without_a_place_for_a_platform_is_refused_at_submission(
    spine: Spine, windows: WindowsFleet
) -> None:
    windows.add("windows-1")
    store()
    only_linux = upload().replace("to_windows", "owner: root, mode: '0600' } #")
    with pytest.raises(PlanError, match="put"):
        spine.submit(only_linux)


@pytest.mark.parametrize(
    "place", ["app.conf", r"\\server\share\x", r"C:\a\..\b", "C:\\a\\", r"C:\a.\b", r"C:\a|b", "/etc/x"]
)
def test_a_place_that_is_no_file_of_a_drive_is_refused(place: str) -> None:
    text = upload().replace(TO.replace("\\", "\\\\"), place.replace("\\", "\\\\"))
    with pytest.raises(DefinitionError, match="to_windows"):
        load_workflow(text)
