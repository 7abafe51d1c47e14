"""Logins that are odd but sound, and logins that run nothing. Each run has a host of each kind."""

import pytest

from credentials.models import Credential
from credentials.secret import Secret
from tests.acceptance.envelope.conftest import NewHost
from tests.acceptance.envelope.portal import Portal, until

THREE_WAYS = """
    name: three-ways
    rollout: {canary: 0, max_failures: 3}
    steps:
      - name: look
        effect: read
        run: {bash: 'echo looked; echo "seen=look" >> "$OPSPORTAL_OUTPUT"'}
      - name: change
        run:
          bash: |
            echo "$OPSPORTAL_ATTEMPT" >> /dev/shm/effects
            printf "%s\\n" "$OUTPUT_seen" "it's"; echo quiet >&2
            echo "seen=change" >> "$OPSPORTAL_OUTPUT"
        verify: {bash: '[ -s /dev/shm/effects ]'}
      - name: as root
        become: true
        run:
          bash: |
            echo "$OPSPORTAL_ATTEMPT" >> /dev/shm/effects-of-root
            printf "%s\\n" "$OUTPUT_seen" "$(id -u)"; echo quiet >&2
            [ ! -t 0 ] && [ -z "$(cat)" ]
"""
ONE_CHANGE = """
    name: one-change
    rollout: {canary: 0, max_failures: 3}
    steps: [{name: step, become: BECOME, run: {bash: 'SCRIPT'}}]
"""
ONE_READ = ONE_CHANGE.replace("become", "effect: read, become")
SAID = {"force-command": "backups only", "account-locked": "not available", "password-expired": "assword"}


def faulty(portal: Portal, new_host: NewHost, *faults: str) -> dict[str, str]:
    """A new host for each fault, as targets: their names, by fault."""
    names = {fault: new_host() for fault in faults}
    for fault, name in names.items():
        portal.add_target(name)
        portal.hosts.fault(name, fault)
    return names


@pytest.mark.parametrize(
    "faults", [("csh-login", "banner", "noexec"), ("busybox-userland", "max-sessions", "kill-user-processes")]
)
def test_an_odd_login_runs_everything_once_and_adds_nothing_to_its_output(
    portal: Portal, new_host: NewHost, faults: tuple[str, ...]
) -> None:
    names = faulty(portal, new_host, *faults)
    run = portal.run(THREE_WAYS)
    for fault, name in names.items():
        assert {r.message for r in run.results.filter(run_target__name=name)} == {""}, fault
        assert portal.output(run, step="look", target=name) == b"looked\n", fault
        assert portal.output(run, step="change", target=name) == b"look\nit's\n", fault
        assert portal.output(run, step="as root", target=name) == b"change\n0\n", fault
        for step, said in (("look", b""), ("change", b"quiet\n"), ("as root", b"quiet\n")):
            assert portal.output(run, "stderr", step=step, target=name) == said, fault
        assert len(portal.lines(name, "/dev/shm/effects")) == 1, fault
        assert len(portal.lines(name, "/dev/shm/effects-of-root")) == 1, fault
    assert run.status == "succeeded"
    assert not portal.locked(run)


@pytest.mark.parametrize("workflow", [ONE_CHANGE, ONE_READ], ids=["change", "read"])
def test_a_login_without_a_shell_starts_nothing_and_says_what_answered(
    portal: Portal, new_host: NewHost, workflow: str
) -> None:
    names = faulty(portal, new_host, *SAID)
    run = portal.run(
        workflow.replace("BECOME", "false").replace("SCRIPT", "echo x >> /dev/shm/effects"), seconds=20
    )
    for fault, name in names.items():
        message = portal.result(run, target=name).message
        assert portal.outcome(run, target=name) == ("failed", "shell.unusable"), (fault, message)
        assert SAID[fault] in message
        assert "forced command or closed shell" in message
        assert not portal.exists(name, "/dev/shm/effects")
    assert {state for _, state in portal.attempts(run)} == {"fenced"}
    assert not portal.locked(run)


def as_root(workflow: str) -> str:
    script = "cat >> /dev/shm/effects; id -u >> /dev/shm/effects"
    return workflow.replace("BECOME", "true").replace("SCRIPT", script)


def test_sudo_that_wants_a_password_is_named_with_the_next_step_and_starts_nothing(
    portal: Portal, new_host: NewHost
) -> None:
    names = faulty(portal, new_host, "sudo-password", "sudo-none")
    for workflow in (ONE_CHANGE, ONE_READ):
        run = portal.run(as_root(workflow))
        for name in names.values():
            assert portal.outcome(run, target=name) == ("failed", "become.password_required")
            assert "NOPASSWD" in portal.result(run, target=name).message
            assert not portal.exists(name, "/dev/shm/effects")
        assert {state for _, state in portal.attempts(run)} == {"fenced"}
        assert not portal.locked(run)


def test_sudo_gets_the_password_of_the_credential_and_the_script_never_sees_it(
    portal: Portal, new_host: NewHost
) -> None:
    names = faulty(portal, new_host, "sudo-password", "banner")
    credential = Credential.objects.get(name="ops")
    credential.set_secrets(become_password=Secret("not the password"))
    wrong = portal.run(as_root(ONE_CHANGE), targets=f"name:{names['sudo-password']}")
    assert portal.outcome(wrong) == ("failed", "become.failed")
    assert "did not accept the password" in portal.result(wrong).message
    assert not portal.exists(names["sudo-password"], "/dev/shm/effects")

    credential.set_secrets(become_password=Secret(portal.hosts.password))
    for workflow in (ONE_CHANGE, ONE_READ):
        run = portal.run(as_root(workflow))
        # Where sudo wants no password, the line that carries it is nobody's input.
        assert run.status == "succeeded", [r.message for r in run.results.all()]
    for name in names.values():
        assert portal.lines(name, "/dev/shm/effects") == ["0", "0"]


def test_without_a_place_for_a_guard_steps_run_but_a_lost_one_is_unknown(portal: Portal, host: str) -> None:
    portal.hosts.fault(host, "no-spool")
    portal.hosts.raw(host, "chmod", "1777", "/srv")
    change = (
        "{name: c, steps: [{name: step, run: {bash: 'echo x >> /srv/effects; echo ran; sleep SECONDS'}}]}"
    )
    run = portal.run(change.replace("SECONDS", "0"))
    assert portal.outcome(run) == ("succeeded", ""), portal.result(run).message
    assert portal.output(run) == b"ran\n"
    lost = portal.begin(change.replace("SECONDS", "60"))
    until(lambda: len(portal.lines(host, "/srv/effects")) == 2, "the script starts")
    portal.hosts.fault(host, "sshd-kill")
    portal.finish(lost)
    assert portal.outcome(lost) == ("unknown", "outcome.unknown")
    assert "No guard could be kept on the target" in portal.result(lost).message
    assert portal.locked(lost)
    assert len(portal.lines(host, "/srv/effects")) == 2
