"""Runs on machines that answer with something else: each ends with its cause, and nothing counts as done.

Deadlines for silence are tried with short ones in `tests/libraries/test_unreachable_targets.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from automation.models import HostKey, TargetLock
from tests.libraries.faulty import FakeSSH, saying, serving
from tests.workers.spine import Spine

Server = Callable[[], AbstractContextManager[tuple[int, str]]]
WORKFLOW = """
    name: odd
    rollout: {canary: 0, max_failures: 1}
    steps: [{name: s, run: {bash: 'true'}}]
"""


def says(*pieces: bytes) -> Server:
    @contextmanager
    def serve() -> Iterator[tuple[int, str]]:
        with serving(saying(*pieces)) as port:
            yield port, ""

    return serve


@contextmanager
def hanging_up() -> Iterator[tuple[int, str]]:
    with FakeSSH(close="login").running() as endpoint:
        yield endpoint.port, endpoint.host_keys[0]


@contextmanager
def refusing() -> Iterator[tuple[int, str]]:
    with FakeSSH(refuse="exec").running() as endpoint:
        yield endpoint.port, endpoint.host_keys[0]


@pytest.mark.parametrize(
    ("server", "code"),
    [
        pytest.param(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "ssh.not_ssh", id="HTTP"),
        pytest.param(says(b"x" * 100_000), "ssh.not_ssh", id="100 kB before the banner"),
        pytest.param(hanging_up, "connection.lost", id="hangs up after the login"),
        pytest.param(refusing, "exec.refused", id="refuses to run anything"),
    ],
)
def test_a_run_on_it_ends_with_its_cause_and_leaves_the_others_alone(
    spine: Spine, server: Server, code: str
) -> None:
    _, odd = spine.add_targets("good", "odd")
    with server() as (port, key):
        odd.port = port
        odd.save(update_fields=["port"])
        if key:
            HostKey.objects.filter(target=odd).delete()
            key_type, text = key.split()
            HostKey.objects.saw(odd, key_type, text, HostKey.State.PENDING).trust(by=spine.person)
        run = spine.run(WORKFLOW)
    assert run.status == "partial"
    assert spine.states(run)["good"] == ["succeeded"]
    result = run.results.get(run_target__name="odd")
    assert (result.state, result.code) in {("unreachable", code), ("failed", code)}
    assert result.message.count(". ") >= 1, "a cause, and what to do next"
    assert not TargetLock.objects.exists()
