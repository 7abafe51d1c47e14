"""The demo's story: a sentence goes in by the AI's door; a person answers, in terminal or browser."""

from __future__ import annotations

import select
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError, ConflictError
from aiworkflows.client_types import Run
from opsportal.demo import people, windows
from opsportal.demo.follow import Follower, show_results
from opsportal.demo.hosts import HOST, PracticeHost
from opsportal.demo.mixed import start_mixed
from opsportal.demo.paper import Paper
from opsportal.demo.plan_text import show_plan, show_proposal
from opsportal.demo.windows import WindowsTarget

SENTENCE = "update nginx on web servers"
READY_SECONDS = 90.0
WINDOWS_SECONDS = 10.0  # that it may take longer than all others
EXIT_CODES = {"succeeded": 0, "failed": 1, "partial": 2}
OTHER = 3
LOOK_SECONDS = 0.5


class StoryBroken(Exception):
    """What the demo wants to show cannot be shown; the text says why."""


@dataclass
class Story:
    """What is told while the portal runs. `password`: the approver's; `code`: the exit code of `--once`."""

    address: str
    hosts: list[PracticeHost]
    windows: WindowsTarget
    ai: str = field(repr=False)
    approver: str = field(repr=False)
    operator: str = field(repr=False)
    password: str = field(repr=False)
    paper: Paper
    ready: threading.Event
    once: bool
    code: int = OTHER

    def tell(self) -> None:
        """From the first request to the last result. Raises AutomationError, StoryBroken."""
        self._wait_until_ready()
        has_windows = self._windows_is_there()
        self.code = self._update()
        if has_windows:
            mixed = self._mixed()
            self.code = self.code or mixed

    def _update(self) -> int:
        """The main job: asked for by an AI, approved by a person."""
        with AutomationClient(self.address, self.ai) as ai:
            self.paper.progress(f'The AI asks, with a token that can never approve: "{SENTENCE}"')
            proposal = ai.propose(SENTENCE)
            show_proposal(self.paper, proposal, self.address)
            if proposal.status != "ready":
                raise StoryBroken(f"the proposal is {proposal.status}: {proposal.reason}")
            run = ai.status(ai.submit_proposal(proposal.id).id)
            show_plan(self.paper, run)
            self._approval(ai, run)
            self.paper.heading("What happens")
            return self._follow(ai, run)

    def _mixed(self) -> int:
        with AutomationClient(self.address, self.operator) as operator:
            return self._follow(operator, start_mixed(operator, self.paper, self.address))

    def _follow(self, client: AutomationClient, run: Run) -> int:
        """To its end; the exit code for it."""
        ended = Follower(client, self.paper).follow(run.id)
        show_results(self.paper, ended, list(client.results(ended.id)))
        return EXIT_CODES.get(ended.status, OTHER)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready.wait(0.2) or not all(_answers(host.ssh) for host in self.hosts):
            if time.monotonic() > deadline:
                raise StoryBroken(
                    "portal or practice hosts did not become ready; see logs/ in the demo's folder"
                )
        names = ", ".join(host.name for host in self.hosts)
        self.paper.progress(f"Ready: {self.address} and the practice hosts {names}")

    def _windows_is_there(self) -> bool:
        """Nothing else waits for it: another program may have taken its port meanwhile."""
        deadline = time.monotonic() + WINDOWS_SECONDS
        while not (there := _answers(self.windows.port)) and time.monotonic() < deadline:
            time.sleep(0.2)
        place = f"{windows.NAME} on port {self.windows.port}"
        if there:
            self.paper.progress(f"Ready: {place}; {windows.WHAT_IT_IS}")
        else:
            self.paper.progress(
                f"{place} does not listen (see logs/{windows.NAME}.log): the demo goes on without it"
            )
        return there

    def _approval(self, ai: AutomationClient, run: Run) -> None:
        self.paper.heading(f"Nothing has run yet. The plan in the browser: {self.address}runs/{run.id}/plan/")
        if self.once:
            self.paper.line(f"--once: approved by the demo itself, as {people.APPROVER}.")
            self._approve(run)
        elif not sys.stdin.isatty():
            self.paper.line("Standard input is no terminal: sign in and approve it there.")
        else:
            self.paper.line(f"Press Enter to approve it as {people.APPROVER}, or sign in and answer there.")
        if not self.once:
            self.paper.fields([(people.APPROVER, self.password)])
        listening = sys.stdin.isatty() and not self.once
        while ai.status(run.id).status == "awaiting_approval":
            if not listening:
                time.sleep(LOOK_SECONDS)
            elif select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
                listening = False
                if sys.stdin.readline():
                    self._approve(run)
                else:
                    self.paper.line(f"No more input: approve it in the browser, as {people.APPROVER}.")

    def _approve(self, run: Run) -> None:
        with AutomationClient(self.address, self.approver) as approver:
            try:
                approver.approve(run.id, run.plan_hash, "approved in the demo's terminal")
            except ConflictError as conflict:
                self.paper.line(f"It was decided already: {conflict.detail}")


def tell_safely(story: Story, ending: threading.Event) -> None:
    """The story in a thread of its own; what goes wrong is told, unless the portal is being ended."""
    try:
        story.tell()
    except (AutomationError, StoryBroken, OSError) as error:
        if not ending.is_set():
            story.paper.heading(f"The demo cannot go on: {error}")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
