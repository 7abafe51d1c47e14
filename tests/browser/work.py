"""Work for targets, as tests of pages need it: it says what it does, and waits when told to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, WebSocket

from aiworkflows.client_types import FINAL_RUN_STATES, Run
from tests.acceptance.main_job.installation import Installation

Definition = dict[str, Any]


def read_step(script: str, name: str = "look", **more: Any) -> Definition:
    return {"name": name, "effect": "read", "run": {"bash": script}, **more}


def change_step(script: str, name: str = "change", **more: Any) -> Definition:
    return {"name": name, "effect": "change", "run": {"bash": script}, **more}


def gated(gate: str, before: str, after: str) -> str:
    """A script that prints `before`, waits until the file `gate` is there (a minute), and prints `after`."""
    wait = f"for _ in $(seq 600); do [ -e {gate} ] && break; sleep 0.1; done"
    return f"echo '{before}'\n{wait}\necho '{after}'\n"


class Desk:
    """Somebody who submits work by the API, so that a test can begin at the page it is about."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._tokens: dict[str, str] = {}

    def submit(
        self,
        *steps: Definition,
        targets: str,
        user: str = "olivia",
        name: str = "for-the-browser",
        parameters: Definition | None = None,
        values: dict[str, Any] | None = None,
        **more: Any,
    ) -> Run:
        """A run of these steps, submitted by `user` with a token of a person."""
        definition = {"name": name, "steps": list(steps), "parameters": parameters or {}}
        with self._installation.client(self._token(user)) as client:
            return client.submit(definition, targets=targets, parameters=values or {}, **more)

    def status(self, run: int) -> str:
        with self._installation.client(self._token("olivia")) as client:
            return client.status(run).status

    def wait(self, run: int, seconds: float = 60) -> str:
        """The state in which the run ended. Whatever the page does meanwhile does not matter here."""
        end = time.monotonic() + seconds
        while (status := self.status(run)) not in FINAL_RUN_STATES:
            assert time.monotonic() < end, f"run {run} is still {status}"
            time.sleep(0.2)
        return status

    def approve(self, run: Run) -> None:
        with self._installation.client(self._token("anna", "runs:approve", "runs:read")) as client:
            client.approve(run.id, run.plan_hash, "looked at it")

    def seqs(self, run: int) -> list[int]:
        """The numbers of all events of a run that is over."""
        with self._installation.client(self._token("olivia")) as client:
            return [event.seq for event in client.events(run)]

    def output(self, run: int, target: str, step: str) -> bytes:
        with self._installation.client(self._token("olivia")) as client:
            return b"".join(client.logs(run, target, step))

    def _token(self, user: str, *scopes: str) -> str:
        if user not in self._tokens:
            wanted = scopes or ("inventory:read", "runs:read", "runs:submit", "runs:control")
            self._tokens[user] = self._installation.token(user, "person", *wanted)
        return self._tokens[user]


class Frames:
    """What a page was told over its sockets, reconnections included."""

    def __init__(self, page: Page) -> None:
        self.messages: list[dict[str, Any]] = []
        self.sockets = 0
        page.on("websocket", self._opened)

    def seqs(self) -> list[int]:
        """Numbers of the events, in the order of their arrival."""
        return [message["seq"] for message in self.messages if "seq" in message]

    def _opened(self, socket: WebSocket) -> None:
        self.sockets += 1
        socket.on("framereceived", self._received)

    def _received(self, frame: str | bytes) -> None:
        self.messages.append(json.loads(frame))


@contextmanager
def kept_smooth(page: Page, *, longest: float) -> Iterator[None]:
    """Fail when the page did not draw for more than `longest` seconds at a time."""
    page.evaluate(
        """() => {
            const smooth = window.__smooth = {last: performance.now(), longest: 0};
            const step = now => {
                smooth.longest = Math.max(smooth.longest, now - smooth.last);
                smooth.last = now;
                requestAnimationFrame(step);
            };
            requestAnimationFrame(step);
        }"""
    )
    yield
    seconds = page.evaluate("() => Math.max(__smooth.longest, performance.now() - __smooth.last)") / 1000
    assert seconds <= longest, f"the page stood still for {seconds:.2f} s"
