"""The one door to the automation service: over HTTP, or inside one process as the asking principal."""

import time
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from aiworkflows.client_errors import (
    AutomationError,
    ConnectionCutError,
    DeadlineExceededError,
    EventGapError,
    UnexpectedAnswerError,
    UnreachableError,
)
from aiworkflows.client_transport import API, FIRST_PAUSE, Answer, Call, Wire
from aiworkflows.client_types import (
    FINAL_STEP_STATES,
    Event,
    EventPage,
    Group,
    Health,
    Me,
    Proposal,
    Run,
    StepResult,
    Target,
    Workflow,
)
from aiworkflows.in_process import InProcessTransport, own_host

LONG_POLL: Final = 20.0
OUTAGE: Final = 120.0
PAGE: Final = 200


class AutomationClient:
    """Calls of the automation API, typed.

    `timeout` is the most seconds one call may take, all its tries included. What is safe to repeat is
    repeated: anything when no connection was made, reads, and submissions (they carry an idempotency
    key). Everything else is sent once. Raises members of the AutomationError family.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._wire = Wire(base_url, token, transport=transport)
        self._timeout = timeout

    @classmethod
    def in_process(cls, principal: Any, *, auth: Any = None, timeout: float = 30.0) -> Self:
        """Speak to the API of this very process as `principal`, with the rights of its token `auth`."""
        transport = InProcessTransport(principal, auth=auth)
        return cls(f"https://{own_host()}", None, transport=transport, timeout=timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the pooled connections."""
        self._wire.close()

    def me(self) -> Me:
        """Say whose rights these calls have, and which."""
        return Me.from_json(self._get("me/"))

    # -- inventory and catalogue -------------------------------------------------------------------

    def health(self) -> Health:
        """Say whether the service is alive and ready; never raises because it is not."""
        try:
            self._wire.send(Call("GET", "/healthz"), timeout=min(self._timeout, 5.0))
        except AutomationError:
            return Health(alive=False, ready=False)
        try:
            answer = self._wire.send(Call("GET", "/readyz"), timeout=min(self._timeout, 5.0))
        except AutomationError as error:
            return Health(alive=True, ready=False, checks={"code": error.code, "detail": error.detail})
        return Health(alive=True, ready=True, checks=_object(answer))

    def targets(self, q: str | None = None) -> Iterator[Target]:
        """Give every target (of the target query `q`), page by page."""
        return (Target.from_json(row) for row in self._pages("targets/", {"q": q} if q else {}))

    def groups(self) -> Iterator[Group]:
        """Give every group."""
        return (Group.from_json(row) for row in self._pages("groups/", {}))

    def workflows(self) -> Iterator[Workflow]:
        """Give every workflow that can be submitted by name."""
        return (Workflow.from_json(row) for row in self._pages("workflows/", {}))

    # -- proposals ---------------------------------------------------------------------------------

    def propose(self, request: str) -> Proposal:
        """Turn a sentence into a proposal; nothing runs."""
        return Proposal.from_json(self._post("proposals/", {"request": request}))

    def proposal(self, proposal_id: int) -> Proposal:
        """Read a proposal."""
        return Proposal.from_json(self._get(f"proposals/{int(proposal_id)}/"))

    def answer(
        self,
        proposal_id: int,
        *,
        parameters: Mapping[str, Any] | None = None,
        targets: str | None = None,
        runbook: str | None = None,
    ) -> Proposal:
        """Answer a proposal's questions, or choose another of its runbooks."""
        given = {"parameters": parameters, "targets": targets, "runbook": runbook}
        body = {key: value for key, value in given.items() if value is not None}
        return Proposal.from_json(self._patch(f"proposals/{int(proposal_id)}/", body))

    def submit_proposal(self, proposal_id: int, *, hold: bool = False, reason: str = "") -> Run:
        """Submit a ready proposal. The service makes one run of it, however often it is asked."""
        body = {"hold": hold, "reason": reason}
        path = f"proposals/{int(proposal_id)}/submit/"
        # Repeatable: the service derives the run's idempotency key from the proposal.
        return Run.from_json(self._send("POST", path, body=body, repeatable=True).json())

    # -- runs --------------------------------------------------------------------------------------

    def submit(  # the fields of POST /runs/; a record of its own would only say them twice
        self,
        workflow: str | Mapping[str, Any],
        *,
        targets: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        rollout: Mapping[str, Any] | None = None,
        version: int | None = None,
        dry_run: bool = False,
        hold: bool = False,
        reason: str = "",
        source: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Submit a workflow, by name or as a definition, and give the planned run.

        The same `idempotency_key` gives the same run; without one the client makes one for its own tries.
        """
        given = {
            "workflow" if isinstance(workflow, str) else "definition": workflow,
            "version": version,
            "targets": targets,
            "parameters": parameters,
            "rollout": rollout,
            "dry_run": dry_run or None,
            "hold": hold or None,
            "reason": reason or None,
            "source": source,
        }
        body = {key: value for key, value in given.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return Run.from_json(self._send("POST", "runs/", body=body, headers=headers, repeatable=True).json())

    def status(self, run: int) -> Run:
        """Say how a run stands."""
        return Run.from_json(self._get(f"runs/{int(run)}/"))

    def results(self, run: int, state: str | None = None) -> Iterator[StepResult]:
        """Give every step result of a run (in `state`)."""
        rows = self._pages(f"runs/{int(run)}/results/", {"state": state} if state else {})
        return (StepResult.from_json(row) for row in rows)

    def cancel(self, run: int, *, reason: str = "") -> Run:
        """Ask a run to stop; it is stopped when its status says so."""
        return self._decide(run, "cancel", {"reason": reason})

    def start(self, run: int, plan_hash: str, reason: str = "") -> Run:
        """Start a held run whose plan was looked at."""
        return self._decide(run, "start", {"plan_hash": plan_hash, "reason": reason})

    def approve(self, run: int, plan_hash: str, reason: str = "") -> Run:
        """Approve the plan with this very hash. ConflictError when the run has another, or was decided."""
        return self._decide(run, "approve", {"plan_hash": plan_hash, "reason": reason})

    def reject(self, run: int, plan_hash: str, reason: str = "") -> Run:
        """Reject the plan with this very hash."""
        return self._decide(run, "reject", {"plan_hash": plan_hash, "reason": reason})

    # -- following ---------------------------------------------------------------------------------

    def wait(self, run: int, timeout: float) -> Run:
        """Wait until a run is over; DeadlineExceededError after `timeout` seconds (the run goes on)."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(deadline - time.monotonic(), 1.0)
            call = Call("GET", f"{API}runs/{int(run)}/", repeatable=True)
            current = Run.from_json(self._wire.send(call, timeout=left).json())
            left = deadline - time.monotonic()
            if current.final:
                return current
            if left <= 0:
                raise DeadlineExceededError(f"Run {int(run)} is still {current.status}", code="wait.timeout")
            asked = time.monotonic()
            self._event_page(run, current.last_seq, wait=min(left, LONG_POLL), within=left + 1.0)
            # A service that answers at once although nothing happened must not be asked in a tight loop.
            time.sleep(max(0.0, min(0.2, left) - (time.monotonic() - asked)))

    def events(self, run: int, after: int = 0, *, outage: float = OUTAGE) -> Iterator[Event]:
        """Give a run's events after number `after`, in order, each once, until the run is over.

        Survives cut connections and a service that is away for up to `outage` seconds.
        Raises EventGapError rather than deliver a story with a hole in it.
        """
        position = after
        while True:
            page = self._event_page(run, position, wait=LONG_POLL, within=LONG_POLL + outage)
            for event in page.events:
                if event.seq <= position:
                    continue
                if event.seq != position + 1:
                    raise _gap(run, position + 1, event.seq)
                position = event.seq
                yield event
            if page.final and not page.events:
                if page.last > position:
                    raise _gap(run, position + 1, page.last)
                return

    def logs(  # the coordinates of one output
        self,
        run: int,
        target: str,
        step: str,
        *,
        body: str = "run",
        stream: str = "stdout",
        follow: bool = False,
        attempt: str | None = None,
    ) -> Iterator[bytes]:
        """Give a step's output on a target as it was stored, in pieces; `follow` waits for all of it."""
        where = {"target": target, "step": step, "body": body, "stream": stream}
        where |= {"attempt": attempt} if attempt else {}
        # The run's number is read before the bytes: what grows in between is announced after it.
        signs = self._growth(run, where, self.status(run).last_seq) if follow else iter(())
        offset, complete, over = 0, False, False
        while not complete:
            piece, offset, complete = self._piece(run, where, offset)
            if piece:
                yield piece
            elif over:
                return
            elif not complete:
                # One more look after the last sign: it may have come with the last bytes.
                over = next(signs, None) is None

    def _growth(self, run: int, where: Mapping[str, str], after: int) -> Iterator[Event]:
        """Give a sign whenever there may be more output; end when there can be no more."""
        if where["body"] == "run":
            here = (where["target"], where["step"])
            states = [row.state for row in self.results(run) if (row.target, row.step) == here]
            if states and states[-1] in FINAL_STEP_STATES:
                return
        for event in self.events(run, after):
            if (event.target, event.step) != (where["target"], where["step"]):
                continue
            over = event.kind == "step" and event.body in {"", "run"} and event.state in FINAL_STEP_STATES
            if over and where["body"] == "run":
                return
            if event.kind == "output" and event.stream == where["stream"]:
                yield event

    def _piece(self, run: int, where: Mapping[str, str], offset: int) -> tuple[bytes, int, bool]:
        """Fetch what is stored from `offset`; also say where to go on, and whether nothing follows."""
        answer = self._send("GET", f"runs/{int(run)}/output/", params={**where, "offset": str(offset)})
        complete = answer.headers.get("X-Complete") == "true"
        # Where the middle was dropped, the piece begins later than was asked for.
        following = answer.headers.get("X-Next-Offset", "")
        if following.isdigit() and int(following) >= offset:
            return answer.content, int(following), complete
        return answer.content, offset + len(answer.content), complete

    def _event_page(self, run: int, after: int, *, wait: float, within: float) -> EventPage:
        params = {"after": str(after), "wait": f"{wait:g}"}
        call = Call("GET", f"{API}runs/{int(run)}/events/", params=params, repeatable=True)
        deadline = time.monotonic() + within
        while True:
            # A half-open connection shows only as silence: each try is short, the next one connects anew.
            patience = min(wait + self._timeout, deadline - time.monotonic())
            try:
                answer = self._wire.send(call, timeout=patience)
            except (DeadlineExceededError, UnreachableError, ConnectionCutError):
                if time.monotonic() >= deadline - FIRST_PAUSE:
                    raise
                time.sleep(FIRST_PAUSE)
                continue
            try:
                return EventPage.from_json(answer.json())
            except (KeyError, TypeError, ValueError) as error:
                raise UnexpectedAnswerError("The events have a wrong shape", code="answer.invalid") from error

    # -- one request -------------------------------------------------------------------------------

    def _decide(self, run: int, verb: str, body: Mapping[str, Any]) -> Run:
        return Run.from_json(self._post(f"runs/{int(run)}/{verb}/", body))

    def _get(self, path: str) -> dict[str, Any]:
        return self._send("GET", path).json()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", path, body=body).json()

    def _patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("PATCH", path, body=body).json()

    def _send(self, method: str, path: str, *, repeatable: bool = False, **fields: Any) -> Answer:
        call = Call(method, API + path, repeatable=repeatable or method == "GET", **fields)
        return self._wire.send(call, timeout=self._timeout)

    def _pages(self, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        params = {**params, "limit": str(PAGE)}
        while True:
            page = self._send("GET", path, params=params).json()
            yield from page["results"]
            following = page.get("next")
            if not following:
                return
            # Only the query is taken from the link: a wrong or hostile host in it never sees the token.
            params = dict(parse_qsl(urlsplit(str(following)).query))


def _object(answer: Answer) -> Mapping[str, Any]:
    try:
        return answer.json()
    except UnexpectedAnswerError:
        return {}


def _gap(run: int, expected: int, got: int) -> EventGapError:
    return EventGapError(f"Run {int(run)}: event {expected} is missing before {got}", code="events.gap")
