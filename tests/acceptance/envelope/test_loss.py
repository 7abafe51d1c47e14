"""Connections that are lost in mid-step, hosts that stand still or die: read on, never run twice."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.deadlines import Deadlines
from automation.models import Attempt, JobRun
from automation.workers import reports, shard
from tests.acceptance.envelope.conftest import NewHost
from tests.acceptance.envelope.portal import Portal, until

# A line on each stream ten times a second, for some seconds, and one effect at the very end.
COUNTING = """
    name: counting
    rollout: {canary: 0, max_failures: 3}
    steps:
      - name: count
        become: BECOME
        timeout: 60
        run:
          bash: |
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/begun
            for n in $(seq 80); do echo "line $n of what was written"; echo "$n" >&2; sleep 0.1; done
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/effects
"""
LINES = "".join(f"line {number} of what was written\n" for number in range(1, 81)).encode()
NUMBERS = "".join(f"{number}\n" for number in range(1, 81)).encode()


def with_targets(portal: Portal, new_host: NewHost, count: int) -> list[str]:
    names = [new_host() for _ in range(count)]
    for name in names:
        portal.add_target(name)
    return names


def all_begun(portal: Portal, names: list[str]) -> None:
    for name in names:
        portal.appears(name, "/var/tmp/begun")


def together(jobs: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def assert_read_on(portal: Portal, run: JobRun, name: str) -> None:
    assert portal.outcome(run, target=name) == ("succeeded", ""), portal.result(run, target=name).message
    assert portal.output(run, target=name) == LINES
    assert portal.output(run, "stderr", target=name) == NUMBERS
    assert len(portal.lines(name, "/var/tmp/begun")) == len(portal.lines(name, "/var/tmp/effects")) == 1
    assert [a.state for a in Attempt.objects.filter(result__run_target__name=name, result__run=run)] == [
        "ended"
    ]


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the workers notice a silent connection after 6 seconds instead of 45."""
    limits = Deadlines(keepalive=2.0)
    monkeypatch.setattr(shard, "ConnectionManager", lambda: ConnectionManager(deadlines=limits))


@pytest.mark.parametrize("notices", [False, True], ids=["short-loss", "noticed-loss"])
def test_after_a_loss_a_step_is_read_on_without_a_lost_or_repeated_byte(
    portal: Portal, new_host: NewHost, monkeypatch: pytest.MonkeyPatch, notices: bool
) -> None:
    cut, killed, frozen = names = with_targets(portal, new_host, 3)
    if notices:
        impatient(monkeypatch)
    run = portal.begin(COUNTING.replace("BECOME", "true" if notices else "false"))
    all_begun(portal, names)

    def freeze() -> None:
        portal.hosts.fault(frozen, "freeze")
        time.sleep(8)
        portal.hosts.clear(frozen)

    together(
        [
            lambda: portal.hosts.fault(cut, "link-flap", 8),
            lambda: portal.hosts.fault(killed, "sshd-kill"),
            freeze,
        ]
    )
    portal.finish(run)
    for name in names:
        assert_read_on(portal, run, name)
    noted = {
        event.data["target"] for event in run.events.all() if event.data.get("code") == "connection.lost"
    }
    assert noted == (set(names) if notices else {killed})
    assert not portal.locked(run)


def test_a_power_cut_after_the_start_is_failed_or_unknown_and_never_run_twice(
    portal: Portal, new_host: NewHost
) -> None:
    kept, lost, half = names = with_targets(portal, new_host, 3)
    run = portal.begin(COUNTING.replace("BECOME", "false"))
    all_begun(portal, names)
    until(lambda: Attempt.objects.filter(result__run=run, state="running").count() == 3, "all are started")
    spool = "disk/upper/home/ops/.opsportal"

    def crash(name: str, unsynced: str = "") -> None:
        portal.hosts.fault(name, "crash")
        for path in portal.hosts.place.folder(name).glob(unsynced) if unsynced else ():
            shutil.rmtree(path)
        portal.hosts.clear(name)

    together([lambda: crash(kept), lambda: crash(lost, spool), lambda: crash(half, f"{spool}/*/attempts/*")])
    portal.finish(run)
    assert portal.outcome(run, target=kept) == ("failed", "target.rebooted")
    for name in (lost, half):
        assert portal.outcome(run, target=name) == ("unknown", "outcome.unknown")
        message = portal.result(run, target=name).message
        assert "restarted or its spool replaced" in message
        assert "until somebody frees its lock" in message
    for name in names:
        assert len(portal.lines(name, "/var/tmp/begun")) == 1
        assert portal.lines(name, "/var/tmp/effects") == []
    assert run.status == "failed"

    later = portal.run(
        "{name: later, rollout: {canary: 0, max_failures: 3}, steps: [{name: s, run: {bash: 'true'}}]}"
    )
    assert portal.outcome(later, target=kept) == ("succeeded", "")
    for name in (lost, half):
        assert portal.outcome(later, target=name) == ("blocked", "target.locked")


REBOOT = """
    name: reboot
    rollout: {canary: 0, max_failures: 3}
    steps:
      - name: reboot
        become: true
        reboots: REBOOTS
        timeout: 60
        run:
          bash: |
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/effects
            cat /proc/sys/kernel/random/boot_id >> /var/tmp/boots
            $command
        verify: {bash: '! grep -q "$(cat /proc/sys/kernel/random/boot_id)" /var/tmp/boots'}
      - name: after
        run: {bash: '! grep -q "$(cat /proc/sys/kernel/random/boot_id)" /var/tmp/boots'}
"""


def test_a_declared_reboot_succeeds_once_the_target_is_back_and_verified(
    portal: Portal, new_host: NewHost
) -> None:
    names = with_targets(portal, new_host, 3)
    commands = (
        "systemctl reboot",
        "systemctl reboot; sleep 60",
        "systemctl reboot --force --force; sleep 60",
    )
    for name, command in zip(names, commands, strict=True):
        target = portal.target(name)
        target.variables = {"command": command}
        target.save()
    run = portal.run(REBOOT.replace("REBOOTS", "true").replace("$command", 'eval "$command"'))
    for name, command in zip(names, commands, strict=True):
        result = portal.result(run, step="reboot", target=name)
        assert (result.state, result.code, result.verified) == ("succeeded", "", True), (
            command,
            result.message,
        )
        assert portal.outcome(run, step="after", target=name) == ("succeeded", ""), command
        assert len(portal.lines(name, "/var/tmp/effects")) == 1, command


REBOOT_STEP = """
    name: reboot-step
    steps:
      - name: before
        effect: read
        run: {bash: 'echo "boot=$(cat /proc/sys/kernel/random/boot_id)" >> "$OPSPORTAL_OUTPUT"'}
      - name: restart
        become: true
        reboot: {timeout: 2m}
        verify: {bash: '[ "$OUTPUT_boot" != "$(cat /proc/sys/kernel/random/boot_id)" ]'}
      - {name: after, run: {bash: '[ "$OUTPUT_boot" != "$(cat /proc/sys/kernel/random/boot_id)" ]'}}
"""


def test_a_reboot_step_needs_no_script_and_goes_on_when_the_target_is_back(portal: Portal, host: str) -> None:
    run = portal.run(REBOOT_STEP)
    result = portal.result(run, step="restart")
    assert (result.state, result.verified) == ("succeeded", True), result.message
    assert portal.outcome(run, step="after", target=host) == ("succeeded", "")


def test_a_declared_reboot_counts_too_when_the_guard_was_the_first_to_go(portal: Portal, host: str) -> None:
    # As happens when the target, going down, ends the guard first.
    script = "systemctl reboot --no-block; kill -KILL $PPID; sleep 60"
    run = portal.run(REBOOT.replace("REBOOTS", "true").replace("$command", script))
    result = portal.result(run, step="reboot")
    assert (result.state, result.code, result.verified) == ("succeeded", "", True), result.message
    assert len(portal.lines(host, "/var/tmp/effects")) == 1


def test_a_declared_reboot_that_never_comes_is_a_failure(
    portal: Portal, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "RECOVERY_SECONDS", 1.0)
    run = portal.run(
        "{name: c, steps: [{name: s, reboots: true, timeout: 3, run: {bash: 'echo x >> /var/tmp/effects'}}]}"
    )
    assert portal.outcome(run) == ("failed", "target.not_restarted")
    assert portal.lines(host, "/var/tmp/effects") == ["x"]
    assert portal.attempts(run) == [("run", "ended")]


def test_a_reboot_that_nobody_declared_fails_the_step_and_says_what_ended_it(
    portal: Portal, host: str
) -> None:
    run = portal.run("{name: c, steps: [{name: s, become: true, run: {bash: 'systemctl reboot; sleep 60'}}]}")
    code, message = portal.result(run).code, portal.result(run).message
    # The end may still come through before the network goes.
    assert (code, "restarted" in message or "SIGTERM" in message) in (
        ("exit.nonzero", True),
        ("target.rebooted", True),
    )
