"""Cancel and time limit: the whole tree is ended, and what is left is named. Locks make runs wait."""

from __future__ import annotations

import time

import pytest

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.deadlines import Deadlines
from automation.models import Attempt, JobRun, RunTarget, StepResult
from automation.workers import reports, shard
from tests.acceptance.envelope.conftest import NewHost
from tests.acceptance.envelope.portal import Portal, until

# Children, a background job, one in a session of its own, and one that ignores TERM.
TREE = """
    name: tree
    rollout: {canary: 0, max_failures: 3}
    steps:
      - name: tree
        become: BECOME
        timeout: SECONDS
        run:
          bash: |
            sleep 1001 & (sleep 1002 & sleep 1003) & setsid sleep 1004 &
            STUBBORN
            touch /var/tmp/begun; echo begun
            sleep 1005; touch /var/tmp/after
      - name: next
        run: {bash: 'touch /var/tmp/next'}
"""
STUBBORN = """bash -c 'trap "" TERM; while :; do sleep 0.2; done # stubborn' &"""
TREE_PROCESSES = "^sleep 100[1-5]|stubborn"


def tree(*, become: bool, seconds: int = 60, stubborn: bool = False) -> str:
    text = TREE.replace("BECOME", str(become).lower()).replace("SECONDS", str(seconds))
    return text.replace("STUBBORN", STUBBORN if stubborn else "")


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the workers notice a silent connection after 3 seconds instead of 45."""
    limits = Deadlines(keepalive=1.0, tcp=2.0, banner=2.0)
    monkeypatch.setattr(shard, "ConnectionManager", lambda: ConnectionManager(deadlines=limits))


def started(run: JobRun) -> None:
    """Until every target's script has said that it runs."""

    def running() -> bool:
        return Attempt.objects.filter(result__run=run, state="running").count() == run.total

    until(running, "the scripts start")


@pytest.mark.parametrize("by", ["cancel", "time limit"])
def test_a_stop_ends_the_whole_tree_and_says_so(portal: Portal, new_host: NewHost, by: str) -> None:
    name = new_host()
    portal.add_target(name)
    if by == "cancel":
        portal.hosts.fault(name, "max-sessions")  # the wish goes over the channel that is open
    run = portal.begin(tree(become=True, seconds=2 if by == "time limit" else 60, stubborn=by == "cancel"))
    portal.appears(name, "/var/tmp/begun")
    if by == "cancel":
        until(lambda: portal.output(run, step="tree"), "its output comes")
        portal.cancel(run)
    portal.finish(run)
    expected = ("cancelled", "command.cancelled") if by == "cancel" else ("timed_out", "command.timeout")
    assert portal.outcome(run, step="tree") == expected
    assert "Nothing it had started is left." in portal.result(run, step="tree").message
    assert portal.processes(name, TREE_PROCESSES) == []
    assert portal.output(run, step="tree") == b"begun\n"
    assert not portal.exists(name, "/var/tmp/after")
    assert not portal.exists(name, "/var/tmp/next")
    assert run.status == ("cancelled" if by == "cancel" else "failed")
    assert portal.attempts(run) == [("run", "ended")]
    assert not portal.locked(run)


def test_without_a_scope_what_got_away_from_a_cancel_is_named(portal: Portal, host: str) -> None:
    run = portal.begin(tree(become=False))
    portal.appears(host, "/var/tmp/begun")
    portal.cancel(run)
    portal.finish(run)
    assert portal.outcome(run, step="tree") == ("cancelled", "command.cancelled")
    (left,) = portal.processes(host, TREE_PROCESSES)
    pid, _, line = left.partition(" ")
    assert line == "sleep 1004"
    assert f"Still there: sleep:{pid}." in portal.result(run, step="tree").message
    assert Attempt.objects.get(result__run=run).left == [f"sleep:{pid}"]


@pytest.mark.parametrize("by", ["cancel", "time limit"])
def test_a_read_that_is_stopped_is_ended_too(portal: Portal, host: str, by: str) -> None:
    timeout = 60 if by == "cancel" else 2
    script = "touch /var/tmp/begun; sleep 1001 & sleep 1002"
    run = portal.begin(
        f"{{name: c, steps: [{{name: s, effect: read, timeout: {timeout}, run: {{bash: '{script}'}}}}]}}"
    )
    portal.appears(host, "/var/tmp/begun")
    if by == "cancel":
        portal.cancel(run)
    portal.finish(run)
    expected = ("cancelled", "command.cancelled") if by == "cancel" else ("timed_out", "command.timeout")
    assert portal.outcome(run) == expected
    assert portal.processes(host, TREE_PROCESSES) == []


def test_a_cancel_during_an_outage_is_carried_out_when_the_target_is_back(
    portal: Portal, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    run = portal.begin(tree(become=True))
    started(run)
    portal.hosts.fault(host, "drop")
    until(lambda: "connection.lost" in portal.notes(run), "the loss is noticed")
    portal.cancel(run)
    portal.hosts.clear(host)
    portal.finish(run)
    assert portal.outcome(run, step="tree") == ("cancelled", "command.cancelled")
    assert portal.processes(host, TREE_PROCESSES) == []
    assert not portal.locked(run)


def test_a_target_that_stays_frozen_leaves_its_step_unknown_and_itself_locked(
    portal: Portal, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    monkeypatch.setattr(reports, "RECOVERY_SECONDS", 2.0)
    run = portal.begin(tree(become=True, seconds=4))
    started(run)
    portal.hosts.fault(host, "freeze")
    portal.finish(run)
    assert portal.outcome(run, step="tree") == ("unknown", "outcome.unknown")
    assert "could not be asked again in time" in portal.result(run, step="tree").message
    assert portal.outcome(run, step="next") == ("skipped", "step.earlier")
    assert portal.locked(run)


def test_a_run_cancelled_while_it_connects_starts_nothing(portal: Portal, host: str) -> None:
    portal.hosts.fault(host, "slow-login", 4)
    run = portal.begin("{name: c, steps: [{name: s, run: {bash: 'touch /var/tmp/begun'}}]}")
    until(lambda: Attempt.objects.filter(result__run=run).exists(), "it connects")
    portal.cancel(run)
    portal.finish(run)
    assert portal.outcome(run) == ("cancelled", "run.cancelled")
    assert portal.attempts(run) == [("run", "fenced")]
    assert not portal.exists(host, "/var/tmp/begun")
    assert not portal.locked(run)
    assert run.status == "cancelled"


def test_frozen_through_its_whole_time_limit_a_step_is_timed_out_and_ended(portal: Portal, host: str) -> None:
    run = portal.begin(tree(become=True, seconds=4))
    started(run)
    portal.hosts.fault(host, "freeze")
    time.sleep(6)
    portal.hosts.clear(host)
    portal.finish(run)
    assert portal.outcome(run, step="tree") == ("timed_out", "command.timeout")
    assert portal.processes(host, TREE_PROCESSES) == []
    assert not portal.locked(run)


def test_a_step_may_leave_a_daemon_behind(portal: Portal, host: str) -> None:
    run = portal.run("""
        name: daemons
        steps:
          - {name: login, run: {bash: 'sleep 1001 & echo left'}}
          - {name: root, become: true, run: {bash: 'nohup setsid sleep 1002 & echo left'}}
        """)
    assert run.status == "succeeded", [r.message for r in run.results.all()]
    assert portal.output(run, step="login") == portal.output(run, step="root") == b"left\n"
    assert run.finished_at is not None
    assert run.started_at is not None
    assert (run.finished_at - run.started_at).total_seconds() < 15
    assert len(portal.processes(host, TREE_PROCESSES)) == 2


def test_two_changing_runs_wait_for_each_other_and_reads_do_not(portal: Portal, host: str) -> None:
    change = (
        "{name: NAME, steps: [{name: look, effect: read, run: {bash: 'true'}}, {name: change, run: {bash: "
        "'echo NAME begins >> /var/tmp/order; until [ -e /var/tmp/go ]; do sleep 0.1; done; "
        "echo NAME ends >> /var/tmp/order'}}]}"
    )
    first = portal.begin(change.replace("NAME", "first"))
    started(first)
    second = portal.begin(change.replace("NAME", "second"))
    third = portal.begin(change.replace("NAME", "third"))
    reading = portal.run("{name: r, steps: [{name: s, effect: read, run: {bash: 'cat /var/tmp/order'}}]}")
    assert portal.output(reading) == b"first begins\n"

    until(lambda: portal.outcome(third, step="look") == ("succeeded", ""), "the third run waits")
    portal.cancel(third)  # between its steps
    portal.finish(third)
    assert portal.outcome(third, step="change") == ("skipped", "run.cancelled")
    assert portal.lines(host, "/var/tmp/order") == ["first begins"]

    portal.hosts.raw(host, "touch", "/var/tmp/go")
    portal.finish(first)
    portal.finish(second)
    assert portal.lines(host, "/var/tmp/order") == [
        "first begins", "first ends", "second begins", "second ends"
    ]  # fmt: skip
    assert {first.status, second.status} == {"succeeded"}
    assert not RunTarget.objects.filter(locks__isnull=False).exists()


SESSION = """
    name: session
    steps:
      - name: step
        become: BECOME
        timeout: 30
        run:
          bash: |
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/begun
            for n in $(seq 30); do echo $n; sleep 0.1; done
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/effects
"""


def lose_session(portal: Portal, host: str, *, become: bool) -> StepResult:
    """Under KillUserProcesses, the sessions of sshd are killed while the step runs."""
    portal.hosts.fault(host, "kill-user-processes")
    run = portal.begin(SESSION.replace("BECOME", str(become).lower()))
    started(run)
    portal.hosts.fault(host, "sshd-kill")
    return portal.result(portal.finish(run))


def test_a_step_of_root_outlives_its_login_under_kill_user_processes(portal: Portal, host: str) -> None:
    result = lose_session(portal, host, become=True)
    assert (result.state, result.code) == ("succeeded", ""), result.message
    assert portal.output(result.run) == "".join(f"{n}\n" for n in range(1, 31)).encode()
    assert len(portal.lines(host, "/var/tmp/begun")) == len(portal.lines(host, "/var/tmp/effects")) == 1
    listing = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "opsportal-*")
    until(lambda: not portal.hosts.raw(host, *listing).stdout, "its scope is gone")


def test_a_step_that_died_with_its_login_is_unknown_and_says_why(portal: Portal, host: str) -> None:
    result = lose_session(portal, host, become=False)
    assert (result.state, result.code) == ("unknown", "target.logout"), result.message
    assert "KillUserProcesses" in result.message
    assert len(portal.lines(host, "/var/tmp/begun")) == 1
    assert portal.lines(host, "/var/tmp/effects") == []
    assert portal.locked(result.run)


def test_a_guard_that_was_killed_leaves_the_step_unknown(portal: Portal, host: str) -> None:
    run = portal.begin(SESSION.replace("BECOME", "false"))
    started(run)
    portal.hosts.raw(host, "pkill", "-KILL", "-u", "ops")
    portal.finish(run)
    assert portal.outcome(run) == ("unknown", "guard.lost")
    assert portal.attempts(run) == [("run", "unknown")]
    assert portal.lines(host, "/var/tmp/effects") == []
    assert portal.locked(run)
