"""A full disk, much output, and output that is no text."""

import hashlib
import os
import re
from itertools import pairwise
from pathlib import Path

import pytest

from automation.models import Attempt, OutputChunk
from tests.acceptance.envelope.portal import Portal

HUNDRED_MB = 100 * 1024 * 1024
NUMBERED = f"seq -w 99999999 | head -c {HUNDRED_MB}"
MEMORY_ALLOWED = 64 * 1024 * 1024


def numbered(start: int, end: int) -> bytes:
    """Bytes from `start` to `end` of 00000001, 00000002, …, a line each."""
    first, last = start // 9, end // 9 + 1
    lines = "".join(f"{number:08}\n" for number in range(first + 1, last + 1)).encode()
    return lines[start - first * 9 : end - first * 9]


def resident(what: str) -> int:
    """Bytes of this process: VmRSS now, or VmHWM, the most since the mark was put back."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_of_a_hundred_megabytes_head_and_tail_are_kept_in_bounded_memory(portal: Portal, host: str) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here
    before = resident("VmRSS")
    run = portal.run(f"{{name: c, steps: [{{name: s, run: {{bash: '{NUMBERED}'}}}}]}}", seconds=120)
    grown = resident("VmHWM") - before
    assert portal.outcome(run) == ("succeeded", "")
    attempt = Attempt.objects.get(result__run=run)
    assert attempt.stdout_remote == HUNDRED_MB == attempt.stdout_stored + attempt.stdout_dropped
    chunks = list(OutputChunk.objects.filter(attempt=attempt, stream="stdout").order_by("offset"))
    for chunk in chunks:
        assert bytes(chunk.data) == numbered(chunk.offset, chunk.end)
    assert chunks[0].offset == 0
    assert chunks[-1].end == HUNDRED_MB
    gaps = [b.offset - a.end for a, b in pairwise(chunks) if b.offset != a.end]
    assert gaps == [attempt.stdout_dropped]
    assert grown < MEMORY_ALLOWED, f"memory grew by {grown / 1024**2:.0f} MiB"


@pytest.mark.parametrize("effect", ["change", "read"])
def test_binary_output_is_stored_to_the_byte(portal: Portal, host: str, effect: str) -> None:
    script = (
        'perl -e "print map chr, 0..255, reverse 0..255"; printf "\\xff\\xfe\\0\\x1e"; '
        "head -c 1000000 /dev/urandom | tee /var/tmp/out; head -c 300000 /dev/urandom | tee /var/tmp/err >&2"
    )
    workflow = f"{{name: c, steps: [{{name: s, effect: {effect}, run: {{bash: {script!r}}}}}]}}"
    run = portal.run(workflow)
    assert portal.outcome(run) == ("succeeded", "")
    head = bytes(range(256)) + bytes(reversed(range(256))) + b"\xff\xfe\0\x1e"
    stdout, stderr = portal.output(run), portal.output(run, "stderr")
    assert stdout[: len(head)] == head
    assert digest(stdout[len(head) :]) == sha256(portal, host, "/var/tmp/out")
    assert digest(stderr) == sha256(portal, host, "/var/tmp/err")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256(portal: Portal, host: str, path: str) -> str:
    return portal.hosts.raw(host, "sha256sum", path).stdout.split()[0]


def test_a_step_can_free_a_disk_that_was_full_before_we_ever_came(portal: Portal, host: str) -> None:
    portal.hosts.fault(host, "disk-full")
    script = 'rm /var/.fault-filler; echo freed; echo "n=1" >> "$OPSPORTAL_OUTPUT"; echo x >> /root/effects'
    run = portal.run(f"{{name: c, steps: [{{name: s, become: true, run: {{bash: '{script}'}}}}]}}")
    assert portal.outcome(run) == ("succeeded", ""), portal.result(run).message
    assert portal.output(run) == b"freed\n"
    assert portal.result(run).outputs == {"n": "1"}
    assert portal.lines(host, "/root/effects") == ["x"]


@pytest.mark.parametrize("code", [0, 3])
def test_the_end_is_known_though_the_disk_ran_full_in_mid_step(portal: Portal, host: str, code: int) -> None:
    script = f"echo before; touch /var/tmp/begun; until [ -e /dev/shm/go ]; do sleep 0.1; done; exit {code}"
    run = portal.begin(f"{{name: c, steps: [{{name: s, run: {{bash: '{script}'}}}}]}}")
    portal.appears(host, "/var/tmp/begun")
    portal.hosts.fault(host, "disk-full")
    portal.hosts.raw(host, "touch", "/dev/shm/go")
    portal.finish(run)
    assert portal.result(run).exit_code == code
    assert portal.outcome(run) == (("failed", "exit.nonzero") if code else ("succeeded", ""))
    assert portal.output(run) == b"before\n"
    assert not portal.locked(run)


def test_a_known_spool_that_is_full_starts_nothing_and_says_so(portal: Portal, host: str) -> None:
    change = "{name: c, steps: [{name: s, run: {bash: 'echo x >> /dev/shm/effects'}}]}"
    assert portal.run(change).status == "succeeded"
    portal.hosts.fault(host, "disk-full")
    run = portal.run(change)
    assert portal.outcome(run) == ("failed", "guard.spool.full")
    assert "no room" in portal.result(run).message
    assert portal.lines(host, "/dev/shm/effects") == ["x"]
    assert not portal.locked(run)


def test_a_step_that_fills_the_disk_with_its_output_is_ended(portal: Portal, host: str) -> None:
    run = portal.run("{name: c, steps: [{name: s, run: {bash: 'head -c 20M /dev/zero; sleep 0.5; yes'}}]}")
    assert portal.outcome(run) == ("failed", "output.limit")
    assert portal.processes(host, "^yes") == []
    attempt = Attempt.objects.get(result__run=run)
    assert attempt.stdout_remote == attempt.stdout_stored + attempt.stdout_dropped > 20 * 1024**2
    assert os.fspath(attempt.spool)


def test_a_spool_that_was_wiped_between_two_runs_is_made_anew(portal: Portal, host: str) -> None:
    change = "{name: c, steps: [{name: s, run: {bash: 'echo x >> /var/tmp/effects'}}]}"
    assert portal.run(change).status == "succeeded"
    portal.hosts.raw(host, "rm", "-r", "/home/ops/.opsportal")
    run = portal.run(change)
    assert portal.outcome(run) == ("succeeded", ""), portal.result(run).message
    assert portal.attempts(run) == [("run", "fenced"), ("run", "ended")]
    assert portal.lines(host, "/var/tmp/effects") == ["x", "x"]
