"""The command line against a real portal; the test plays the workers."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest
from django.db import transaction

from automation.definitions.schema import load_workflow
from automation.models import JobRun, RunStatus, Target, Workflow
from tests.commandline.conftest import SetUp, Type, started
from tests.live.stories import begin, end, print_bytes, tell

LOOK = "name: look\nsteps:\n  - {name: look, effect: read, run: {bash: 'true'}}\n"
TOUCH = """
name: touch-file
parameters: {file: {type: string}}
steps:
  - {name: touch, effect: change, run: {bash: 'touch "$file"'}, undo: {bash: 'rm -f "$file"'}}
"""


@pytest.fixture
def looking(tmp_path: Path) -> str:
    path = tmp_path / "look.yaml"
    path.write_text(LOOK)
    return str(path)


@pytest.fixture
def touching(tmp_path: Path) -> str:
    path = tmp_path / "touch.yaml"
    path.write_text(TOUCH)
    return str(path)


@pytest.fixture
def web(roles: None) -> None:
    for n in (1, 2):
        Target.objects.create(name=f"web{n}", address=f"web{n}.example.org", platform="linux")


def succeed(run: JobRun, *names: str) -> None:
    """What workers do when the step has succeeded on these targets, and so the run."""
    for name in names:
        attempt = begin(run, name)
        run.results.filter(run_target__name=name).update(state="succeeded")
        end(run, attempt)
    tell(run, finish=True)


def test_targets_are_plain_lines_without_a_terminal_and_json_when_asked(
    web: None, environment: SetUp, type_in: Type
) -> None:
    mine = environment("viewer")
    first = type_in(mine, "targets").out.splitlines()[0].split("\t")
    assert first[:3] == ["web1", "web1.example.org", "linux"]
    assert first[-1] == "nobody: neither the target, nor a group of it, nor its environment has one"
    chosen = type_in(mine, "targets", "name:web2", "--json")
    assert (chosen.code, [row["name"] for row in chosen.json()]) == (0, ["web2"])


def test_a_run_that_is_taken_is_listed_shown_and_cancelled(
    web: None, environment: SetUp, type_in: Type, looking: str
) -> None:
    mine = environment("operator")
    made = type_in(mine, "run", looking, "-t", "all", "--no-wait", "--json")
    assert made.code == 0
    run = made.json()["run"]["id"]
    assert type_in(mine, "runs").out.split("\t")[:3] == [str(run), "queued", "look"]
    shown = type_in(mine, "show", str(run))
    assert shown.code == 0
    assert "web1\tlook\tpending" in shown.out
    assert "true" in shown.out
    assert "login: neither the target, nor a group of it" in shown.out
    assert type_in(mine, "cancel", str(run), "--reason", "wrong").code == 0
    assert type_in(mine, "show", str(run), "--json").json()["run"]["cancel_requested"] is True


@pytest.mark.parametrize(
    ("status", "code"),
    [(RunStatus.SUCCEEDED, 0), (RunStatus.FAILED, 1), (RunStatus.PARTIAL, 2), (RunStatus.ERRORED, 3)],
)
def test_the_exit_code_is_the_result_of_the_run(
    web: None, environment: SetUp, type_in: Type, looking: str, status: RunStatus, code: int
) -> None:
    mine = environment("operator")
    run = JobRun.objects.get(
        pk=type_in(mine, "run", looking, "-t", "all", "--no-wait", "--json").json()["run"]["id"]
    )
    with transaction.atomic():
        JobRun.objects.locked(run.pk).move(status)
    assert type_in(mine, "watch", str(run.pk)).code == code


def test_a_run_that_lasts_longer_than_the_time_given_goes_on(
    web: None, environment: SetUp, type_in: Type, looking: str
) -> None:
    mine = environment("operator")
    ended = type_in(mine, "run", looking, "-t", "all", "--timeout", "0.3")
    assert ended.code == 3
    assert "goes on" in ended.err
    assert JobRun.objects.get().status == "queued"


def test_a_run_is_followed_line_by_line_until_it_ends(web: None, environment: SetUp, looking: str) -> None:
    process = started(environment("operator"), "run", looking, "-t", "name:web1", stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    run = JobRun.objects.get()
    succeed(run, "web1")
    with process.stdout:
        rest = process.stdout.read().decode()
    assert process.wait(20) == 0
    assert first
    assert "web1  look  succeeded" in rest
    assert rest.splitlines()[-1].startswith("web1\tlook\tsucceeded")


def test_on_a_terminal_a_run_is_a_table_that_lives(web: None, environment: SetUp, looking: str) -> None:
    mine = {**environment("operator"), "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    leader, follower = pty.openpty()
    process = started(mine, "run", looking, "-t", "all", stdout=follower, stderr=follower)
    os.close(follower)
    seen = b""
    while b"pending" not in seen:
        seen += os.read(leader, 4096)
    run = JobRun.objects.get()
    succeed(run, "web1", "web2")
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(leader)
    assert process.wait(20) == 0
    assert b"2 pending" in seen
    assert b"\x1b[" in seen
    assert seen.rstrip().count(b"succeeded") >= 3


def test_a_plan_is_shown_on_a_terminal_and_approved_after_a_yes(
    web: None, environment: SetUp, type_in: Type, touching: str
) -> None:
    asking, approving = environment("operator", kind="ai"), environment("approver")
    type_in(asking, "run", touching, "-t", "all", "-p", "file=/tmp/x", "--no-wait")
    run = JobRun.objects.get()
    for answer, status, code in ((b"n\n", "awaiting_approval", 3), (b"y\n", "queued", 0)):
        leader, follower = pty.openpty()
        process = started(approving, "approve", str(run.pk), stdin=follower, stdout=follower, stderr=follower)
        os.close(follower)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(leader, 4096)
        os.write(leader, answer)
        assert process.wait(20) == code
        os.close(leader)
        assert run.plan_hash.encode() in seen
        for part in (
            b'touch "$file"',
            b"to undo (bash):",
            b'rm -f "$file"',
            b"file=/tmp/x",
            b"web2.example.org:22",
        ):
            assert part in seen
        run.refresh_from_db()
        assert run.status == status


def test_who_interrupts_is_told_that_the_run_goes_on(web: None, environment: SetUp, looking: str) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = started(environment("operator"), "run", looking, "-t", "all", **pipes)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 3
    assert b"goes on" in told
    assert b"Traceback" not in told
    assert JobRun.objects.get().cancel_requested is False


def test_a_reader_that_goes_away_is_not_a_failed_run(web: None, environment: SetUp) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = started(environment("viewer"), "targets", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (3, b"")


def test_logs_are_the_very_bytes_and_followed_to_the_end(
    web: None, environment: SetUp, type_in: Type, looking: str
) -> None:
    mine = environment("operator")
    type_in(mine, "run", looking, "-t", "name:web1", "--no-wait")
    run = JobRun.objects.get()
    attempt = begin(run)
    print_bytes(run, attempt, b"one\n\xff")
    process = started(mine, "logs", "-f", str(run.pk), "web1", "look", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"one\n"
    print_bytes(run, attempt, b"two\n")
    end(run, attempt)
    with process.stdout:
        assert process.stdout.read() == b"\xfftwo\n"
    assert process.wait(20) == 0
    told = type_in(mine, "logs", str(run.pk), "web1", "look", "--json").json()
    assert told["text"] == "one\n\N{REPLACEMENT CHARACTER}two\n"


def test_a_plan_is_approved_by_its_hash_and_by_somebody_else(
    web: None, environment: SetUp, type_in: Type, touching: str
) -> None:
    mine, theirs = environment("operator", kind="ai"), environment("approver")
    run = type_in(mine, "run", touching, "-t", "all", "-p", "file=/tmp/x", "--no-wait", "--json").json()[
        "run"
    ]
    assert run["status"] == "awaiting_approval"
    blind = type_in(theirs, "approve", str(run["id"]))
    assert blind.code == 4
    assert "--plan" in blind.err
    wrong = type_in(theirs, "approve", str(run["id"]), "--plan", "0" * 64)
    assert wrong.code == 4
    own = type_in(mine, "approve", str(run["id"]), "--plan", run["plan_hash"])
    assert own.code == 4
    assert "next:" in own.err
    assert (
        type_in(theirs, "approve", str(run["id"]), "--plan", run["plan_hash"]).out.strip().endswith("queued")
    )


def test_a_rerun_asks_for_the_same_on_the_targets_that_failed(
    web: None, environment: SetUp, type_in: Type, touching: str
) -> None:
    mine = environment("operator")
    type_in(mine, "run", touching, "-t", "all", "-p", "file=/tmp/x", "--no-wait")
    first = JobRun.objects.get()
    early = type_in(mine, "rerun", str(first.pk), "--failed")
    assert (early.code, "can be run again when it is over" in early.err) == (4, True)
    first.results.filter(run_target__name="web2").update(state="unknown")
    first.targets.filter(name="web1").update(good=True)
    JobRun.objects.update(status="partial")
    again = type_in(mine, "rerun", str(first.pk), "--failed", "--no-wait", "--json")
    assert again.code == 0, again.err
    second = JobRun.objects.get(pk=again.json()["run"]["id"])
    assert [row.name for row in second.targets.all()] == ["web2"]
    shown = type_in(mine, "show", str(second.pk), "--json").json()["run"]
    assert shown["inputs"]["parameters"] == {"file": "/tmp/x"}
    assert shown["reason"] == f"Run {first.pk} again"
    assert f"How it ended in run {first.pk} is unknown, so it may be done twice: web2" in again.err


def test_a_workflow_is_listed_and_run_by_name_and_run_again_in_its_version(
    web: None, environment: SetUp, type_in: Type
) -> None:
    for timeout in ("1m", "2m"):
        text = LOOK.replace("effect: read", f"effect: read, timeout: {timeout}")
        Workflow.objects.publish(load_workflow(text).canonical(), text=text, author=None)
    mine = environment("operator")
    assert type_in(mine, "workflows").out.split("\t")[:2] == ["look", "2"]
    old = type_in(mine, "run", "look", "--version", "1", "-t", "name:web1", "--no-wait", "--json").json()[
        "run"
    ]
    JobRun.objects.update(status="succeeded")
    again = type_in(mine, "rerun", str(old["id"]), "--no-wait", "--json")
    assert again.code == 0, again.err
    assert [again.json()["run"][key] for key in ("workflow", "version", "targets")] == ["look", 1, 1]
    other = type_in(mine, "rerun", str(old["id"]), "--from-step", "lok", "--no-wait")
    assert (other.code, "there is no step 'lok'; did you mean 'look'?" in other.err) == (4, True)


def test_secret_parameters_must_be_given_again_and_are_never_shown(
    web: None, environment: SetUp, type_in: Type, tmp_path: Path
) -> None:
    workflow, secrets = tmp_path / "log-in.yaml", tmp_path / "secrets.yaml"
    workflow.write_text(LOOK.replace("steps:", "parameters: {key: {type: secret}}\nsteps:"))
    secrets.write_text("key: hunter2-and-more\n")
    mine = environment("operator")
    with_secret = ("--parameters", str(secrets), "--no-wait", "--json")
    made = type_in(mine, "run", str(workflow), "-t", "all", *with_secret)
    assert made.code == 0, made.err
    run = str(made.json()["run"]["id"])
    JobRun.objects.update(status="failed")
    without = type_in(mine, "rerun", run)
    assert (without.code, "key" in without.err, "--parameters" in without.err) == (4, True, True)
    again = type_in(mine, "rerun", run, *with_secret)
    assert again.code == 0, again.err
    assert "hunter2" not in "".join(f"{each.out}{each.err}" for each in (made, without, again))


def test_a_command_is_a_run(web: None, environment: SetUp, type_in: Type) -> None:
    mine = environment("operator")
    made = type_in(mine, "command", "uptime", "-t", "name:web1", "--effect", "read", "--no-wait", "--json")
    assert made.code == 0, made.err
    assert made.json()["run"]["risk"]["tier"] == "read"


def test_a_sentence_becomes_a_proposal_and_its_open_questions_are_told(
    web: None, environment: SetUp, type_in: Type
) -> None:
    mine = environment("operator")
    asked = type_in(mine, "ask", "restart nginx on the database servers")
    assert asked.code == 0, asked.err
    assert "needs_answer" in asked.out
    ready = type_in(mine, "ask", "restart nginx on web1", "--submit", "--no-wait", "--json")
    assert ready.code == 0, ready.err
    assert JobRun.objects.get().targets.get().name == "web1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("targets", "group:"), "next:"),
        (("show", "999"), "next:"),
        (("run", "nothing-of-that-name", "-t", "all"), "next:"),
        (
            ("command", "id", "-t", "name:nobody", "--effect", "read"),
            "[targets.none]\n       targets: matches",
        ),
        (("run", "missing.yaml", "-t", "all"), "cannot be read"),
        (("run", "x", "-p", "hunter2"), "name=value"),
        (("run", "x", "-p", "n:=hunter2"), "not JSON"),
        (("show", "x"), "--help"),
        (("no-such-command",), "--help"),
    ],
)
def test_what_is_wrong_is_told_with_its_next_step_and_is_no_result_of_a_run(
    web: None, environment: SetUp, type_in: Type, arguments: tuple[str, ...], said: str
) -> None:
    ended = type_in(environment("operator"), *arguments)
    assert (ended.code, ended.out) == (4, "")
    assert said in ended.err
    assert "next:" in ended.err
    assert "hunter2" not in ended.err
    assert "Traceback" not in ended.err
