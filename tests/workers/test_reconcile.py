"""Unknown ends are found out later, by the machine or by a person, and nothing is ever started for it."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from automation.models import Attempt, JobRun, OutputChunk, StepResult, TargetLock
from automation.models.results import RECONCILE_FOR
from automation.release_lock import release_lock
from automation.workers import reconcile as reconciling
from automation.workers import reports
from automation.workers.reconcile import reconcile, wake_reconciliation
from tests.libraries.sshd import Sshd
from tests.workers.spine import Spine

CHANGE = """
    name: change
    rollout: {batches: ["100%"], max_failures: 9}
    steps:
      - name: change
        run: {bash: 'echo "$name" >> SCRATCH/effects; echo "kept=yes" >> "$OPSPORTAL_OUTPUT"; echo out; FAIL'}
"""


@pytest.fixture
def reachable(spine: Spine, tmp_path: Path) -> Iterator[Spine]:
    """A spine whose first target is a server of its own, which the test may stop."""
    (tmp_path / "own").mkdir()
    server = Sshd(tmp_path / "own")
    server.authorize(spine.servers[0].folder / "login.pub")
    yield Spine([server, *spine.servers[1:]], spine.person, spine.scratch)
    server.stop()


def change(spine: Spine, fail: str = "true", *, more: str = "") -> str:
    return CHANGE.replace("SCRATCH", str(spine.scratch)).replace("FAIL", fail) + more


def lose(run: JobRun, name: str = "a", **changes: object) -> Attempt:
    """Make the rows say what they say when the target could not be asked for its end in time."""
    row = run.targets.get(name=name)
    attempt = Attempt.objects.get(result__run_target=row, body="run", result__step="change")
    OutputChunk.objects.filter(attempt=attempt).delete()
    lost = {f"{stream}_{what}": 0 for stream in ("stdout", "stderr") for what in ("remote", "stored")}
    Attempt.objects.filter(pk=attempt.pk).update(
        state="unknown",
        reconcile_at=timezone.now(),
        forget_at=None,
        exit_code=None,
        how="",
        code="outcome.unknown",
        **(lost | changes),
    )
    StepResult.objects.filter(pk=attempt.result_id).update(
        state="unknown", code="outcome.unknown", message="Could not be asked.", exit_code=None, outputs={}
    )
    row.good = False
    row.save()
    TargetLock.objects.create(key=f"target:{row.target_id}", run=run, run_target=row)
    JobRun.objects.filter(pk=run.pk).update(status="partial" if run.total > 1 else "failed", bad=1)
    return Attempt.objects.get(pk=changes.get("id", attempt.pk))


def ask_again(attempt: Attempt) -> None:
    """The next try, as if its time had come."""
    Attempt.objects.filter(pk=attempt.pk, reconcile_at__isnull=False).update(reconcile_at=timezone.now())
    reconcile(attempt.result.run_id)
    attempt.refresh_from_db()


def notes(run: JobRun) -> list[str]:
    return [event.data["code"] for event in run.events.all() if event.data["kind"] == "note"]


def test_an_end_that_was_missed_is_found_out_and_corrects_the_run(spine: Spine) -> None:
    spine.add_targets("a", "b")
    run = spine.run(change(spine))
    attempt, finished_at = lose(run), run.finished_at
    ask_again(attempt)
    run.refresh_from_db()
    result = attempt.result
    result.refresh_from_db()
    assert (attempt.state, attempt.exit_code, attempt.reconcile_at) == ("ended", 0, None)
    assert (result.state, result.code, result.outputs) == (
        "succeeded",
        "outcome.reconciled",
        {"kept": "yes"},
    )
    assert "Found out at 20" in result.message
    assert (run.status, run.bad, run.finished_at) == ("succeeded", 0, finished_at)
    assert run.events.last().data == {
        "kind": "run",
        "state": "succeeded",
        "code": "outcome.reconciled",
        "message": "2 of 2 targets are good.",
    }
    assert not TargetLock.objects.exists()
    assert (spine.scratch / "effects").read_text().count("\n") == 2
    assert list(run.events.values_list("seq", flat=True)) == list(range(1, run.last_seq + 1))


def test_only_the_missing_output_is_stored(spine: Spine) -> None:
    spine.add_targets("a")
    attempt = lose(spine.run(change(spine)), stdout_remote=2, stdout_stored=2)
    ask_again(attempt)
    assert [(c.offset, bytes(c.data)) for c in attempt.chunks.filter(stream="stdout")] == [(2, b"t\n")]


def test_a_bad_end_is_taken_as_it_is(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine, fail="exit 3"))
    attempt = lose(run)
    ask_again(attempt)
    run.refresh_from_db()
    result = attempt.result
    result.refresh_from_db()
    assert (result.state, result.code, result.exit_code) == ("failed", "exit.nonzero", 3)
    assert (run.status, run.bad) == ("failed", 1)
    assert "outcome.reconciled" in notes(run)
    assert not TargetLock.objects.exists()


def test_a_verify_is_not_run_by_finding_out(spine: Spine) -> None:
    spine.add_targets("a")
    verify = f"        verify: {{bash: 'echo v >> {spine.scratch}/verified'}}\n"
    run = spine.run(change(spine, more=verify))
    attempt = lose(run)
    StepResult.objects.update(verified=None)
    ask_again(attempt)
    result = StepResult.objects.get()
    assert (result.state, result.verified) == ("succeeded", None)
    assert "Its verify was not run" in result.message
    assert (spine.scratch / "verified").read_text() == "v\n"


def test_steps_that_were_skipped_stay_so_and_their_target_is_not_good(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine, more="      - {name: then, run: {bash: 'true'}}\n"))
    attempt = lose(run)
    StepResult.objects.filter(step="then").update(state="skipped", code="step.earlier")
    ask_again(attempt)
    run.refresh_from_db()
    assert spine.states(run) == {"a": ["succeeded", "skipped"]}
    assert (run.status, run.bad, run.targets.get().good) == ("failed", 0, False)


def test_what_had_never_started_is_fenced_and_said(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine))
    lost = lose(run, id=uuid.uuid4(), started_at=None, intent_at=timezone.now())
    ask_again(lost)
    result = StepResult.objects.get()
    assert lost.state == "fenced"
    assert (result.state, result.code) == ("unreachable", "outcome.never_started")
    assert (Path(lost.spool) / "attempts" / lost.pk.hex / "start" / "fenced").exists()
    assert not TargetLock.objects.exists()


@pytest.mark.parametrize("changes", [{"intent_at": timezone.now() - timedelta(days=9999)}, {"spool_id": "x"}])
def test_a_fence_that_proves_nothing_leaves_it_unknown(spine: Spine, changes: dict[str, object]) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine))
    given = {"id": uuid.uuid4(), "started_at": None, "intent_at": timezone.now()}
    lost = lose(run, **(given | changes))
    ask_again(lost)
    assert (lost.state, lost.code) == ("unknown", "guard.fenced")
    assert TargetLock.objects.exists()


def test_what_cannot_be_reached_stays_unknown_and_is_asked_later(reachable: Spine) -> None:
    reachable.add_targets("a")
    run = reachable.run(change(reachable))
    reachable.servers[0].stop()
    attempt = lose(run)
    ask_again(attempt)
    wait = (attempt.reconcile_at or timezone.now()) - timezone.now()
    assert (attempt.state, attempt.code, attempt.reconcile_tries) == ("unknown", "connect.refused", 1)
    assert timedelta(seconds=50) < wait < timedelta(seconds=61)
    ask_again(attempt)
    run.refresh_from_db()
    assert "try 2: " in StepResult.objects.get().message
    assert notes(run).count("outcome.unknown") == 1  # the reason did not change
    assert (run.status, TargetLock.objects.count()) == ("failed", 1)


def test_after_a_week_the_machine_asks_no_more(reachable: Spine) -> None:
    reachable.add_targets("a")
    run = reachable.run(change(reachable))
    reachable.servers[0].stop()
    attempt = lose(run, ended_at=timezone.now() - RECONCILE_FOR)
    ask_again(attempt)
    assert (attempt.state, attempt.reconcile_at) == ("unknown", None)
    assert "free its lock" in StepResult.objects.get().message


def test_a_target_whose_key_is_no_longer_trusted_is_not_even_connected(reachable: Spine) -> None:
    (target,) = reachable.add_targets("a")
    run = reachable.run(change(reachable))
    target.host_keys.get().revoke(by=reachable.person)
    logins = reachable.servers[0].logins
    attempt = lose(run)
    ask_again(attempt)
    assert (attempt.state, attempt.code) == ("unknown", "hostkey.changed")
    assert reachable.servers[0].logins == logins


def test_a_person_who_releases_the_target_ends_the_asking(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    run = spine.run(change(spine))
    attempt = lose(run)
    release_lock(target, by="bob", reason="looked")
    ask_again(attempt)
    assert (attempt.state, attempt.reconcile_at, attempt.reconcile_tries) == ("unknown", None, 0)
    assert run.events.last().data["by"] == "bob"


def test_an_answer_that_comes_after_a_persons_word_changes_nothing(
    spine: Spine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (target,) = spine.add_targets("a")
    attempt = lose(spine.run(change(spine)))
    ask = reconciling.Reconciliation._ask

    # In the moment between the question and its answer, which no test can meet otherwise.
    def released(self: reconciling.Reconciliation, work: reconciling.Work) -> object:
        asked = ask(self, work)
        release_lock(target, by="bob")
        return asked

    monkeypatch.setattr(reconciling.Reconciliation, "_ask", released)
    ask_again(attempt)
    assert attempt.state == "unknown"
    assert StepResult.objects.get().state == "unknown"


def test_of_two_reconcilers_one_asks(spine: Spine) -> None:
    spine.add_targets("a")
    attempt = lose(spine.run(change(spine)))
    other = Attempt.objects.get(pk=attempt.pk)
    assert [attempt.claim_reconcile(), other.claim_reconcile()] == [True, False]


def test_a_cancelled_run_stays_cancelled(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine))
    attempt = lose(run)
    JobRun.objects.update(status="cancelled")
    ask_again(attempt)
    run.refresh_from_db()
    assert (run.status, attempt.state) == ("cancelled", "ended")


def test_another_unknown_end_keeps_the_lock(spine: Spine) -> None:
    spine.add_targets("a")
    attempt = lose(spine.run(change(spine)))
    Attempt.objects.create(
        result=attempt.result, body="undo", number=1, mode="direct", become=False, state="unknown"
    )
    ask_again(attempt)
    assert attempt.state == "ended"
    assert TargetLock.objects.exists()


def test_an_undo_that_ended_well_makes_the_step_undone(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine, fail="exit 3"))
    attempt = lose(run, body="undo")
    StepResult.objects.update(state="failed", code="exit.nonzero", undone=False)
    (Path(attempt.spool) / "attempts" / attempt.pk.hex / "exit.3.ended").rename(
        Path(attempt.spool) / "attempts" / attempt.pk.hex / "exit.0.ended"
    )
    ask_again(attempt)
    result = StepResult.objects.get()
    assert (result.state, result.code, result.undone) == ("failed", "exit.nonzero", True)
    assert not TargetLock.objects.exists()


def test_the_sweeper_wakes_a_finished_run_once(spine: Spine) -> None:
    spine.add_targets("a")
    attempt = lose(spine.run(change(spine)))
    wake_reconciliation()
    wake_reconciliation()
    assert OrmQ.objects.filter(key="execution").count() == 1
    spine.drain()
    attempt.refresh_from_db()
    assert attempt.state == "ended"
    assert JobRun.objects.get().wake_at is None


def test_a_live_run_is_left_to_its_shards(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(change(spine))
    lose(run)
    JobRun.objects.update(status="running")
    wake_reconciliation()
    reconcile(run.pk)
    assert not OrmQ.objects.exists()
    assert Attempt.objects.get().state == "unknown"


def test_a_script_that_outlives_its_connection_is_followed_to_its_end(
    reachable: Spine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut for real, and the shard gives up at once instead of after minutes."""
    reachable.add_targets("a")
    monkeypatch.setattr(reports, "RECOVERY_SECONDS", -1e6)
    cut = f"kill -9 $(pgrep -P {reachable.servers[0].pid})"
    wait = f"until [ -e {reachable.scratch}/go ]; do sleep 0.1; done"
    run = reachable.run(change(reachable, fail=f"{cut}; {wait}; echo late"))
    attempt = Attempt.objects.get()
    assert (run.status, attempt.state, attempt.reconcile_at is None) == ("failed", "unknown", False)
    assert TargetLock.objects.exists()

    monkeypatch.setattr(reconciling, "ASK_SECONDS", 2.0)
    ask_again(attempt)
    assert (attempt.state, attempt.code) == ("unknown", "command.timeout")

    (reachable.scratch / "go").touch()
    ask_again(attempt)
    run.refresh_from_db()
    assert (run.status, attempt.state) == ("succeeded", "ended")
    stored = b"".join(bytes(c.data) for c in attempt.chunks.filter(stream="stdout").order_by("offset"))
    assert stored == b"out\nlate\n"
    assert (reachable.scratch / "effects").read_text().count("\n") == 1
    assert not TargetLock.objects.exists()
