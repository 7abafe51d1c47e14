"""The calls of the automation API, each once, as flows: both clients perform them.

The first parameter of each, `within`, is the client's: the most seconds that one request may take, its tries
included. Callers never give it.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from aiworkflows.client_errors import AutomationError, UnexpectedAnswerError
from aiworkflows.client_flow import Call, Flow, Item, Stream
from aiworkflows.client_transport import API, Answer, sending
from aiworkflows.client_types import (
    Group,
    Health,
    Me,
    PlannedTarget,
    Proposal,
    Run,
    StepResult,
    StoredFile,
    Target,
    TargetForecast,
    Workflow,
)

PAGE: Final = 200
HEALTH_SECONDS: Final = 5.0


def me(within: float) -> Flow[Me]:
    """Say whose rights these calls have, and which."""
    return Me.from_json((yield from _send(within, "GET", "me/")).json())


# -- inventory and catalogue -----------------------------------------------------------------------


def health(within: float) -> Flow[Health]:
    """Say whether the service is alive and ready; never raises because it is not."""
    within = min(within, HEALTH_SECONDS)
    try:
        yield from sending(Call("GET", "/healthz"), within=within)
    except AutomationError:
        return Health(alive=False, ready=False)
    try:
        answer = yield from sending(Call("GET", "/readyz"), within=within)
    except AutomationError as error:
        return Health(alive=True, ready=False, checks={"code": error.code, "detail": error.detail})
    try:
        return Health(alive=True, ready=True, checks=answer.json())
    except UnexpectedAnswerError:
        return Health(alive=True, ready=True)


def targets(within: float, q: str | None = None) -> Stream[Target]:
    """Give every target (of the target query `q`), page by page."""
    return _pages(within, "targets/", {"q": q}, Target)


def groups(within: float) -> Stream[Group]:
    """Give every group."""
    return _pages(within, "groups/", {}, Group)


def workflows(within: float) -> Stream[Workflow]:
    """Give every workflow that can be submitted by name."""
    return _pages(within, "workflows/", {}, Workflow)


# -- files -----------------------------------------------------------------------------------------


def files(within: float, *, name: str | None = None, run: int | None = None) -> Stream[StoredFile]:
    """Give the stored files, newest first; those of this name, those that this run's steps downloaded."""
    chosen = {"name": name, "run": None if run is None else str(int(run))}
    return _pages(within, "files/", chosen, StoredFile)


def store_file(within: float, name: str, content: bytes) -> Flow[StoredFile]:
    """Store a file for steps that put it on targets; of several with one name runs take the newest.

    Sent once: where the answer is lost, `files(name=…)` tells whether it was stored.
    """
    kind = {"Content-Type": "application/octet-stream"}
    call = Call("POST", API + "files/", params={"name": name}, content=content, headers=kind)
    return StoredFile.from_json((yield from sending(call, within=within)).json())


def file_content(within: float, file: int) -> Flow[bytes]:
    """Read a stored file's bytes."""
    return (yield from _send(within, "GET", f"files/{int(file)}/content/")).content


# -- proposals -------------------------------------------------------------------------------------


def propose(within: float, request: str) -> Flow[Proposal]:
    """Turn a sentence into a proposal; nothing runs."""
    return Proposal.from_json((yield from _send(within, "POST", "proposals/", {"request": request})).json())


def proposal(within: float, proposal_id: int) -> Flow[Proposal]:
    """Read a proposal."""
    return Proposal.from_json((yield from _send(within, "GET", f"proposals/{int(proposal_id)}/")).json())


def answer(
    within: float,
    proposal_id: int,
    *,
    parameters: Mapping[str, Any] | None = None,
    targets: str | None = None,
    runbook: str | None = None,
) -> Flow[Proposal]:
    """Answer a proposal's questions, or choose another of its runbooks."""
    body = _given({"parameters": parameters, "targets": targets, "runbook": runbook})
    return Proposal.from_json(
        (yield from _send(within, "PATCH", f"proposals/{int(proposal_id)}/", body)).json()
    )


def submit_proposal(within: float, proposal_id: int, *, hold: bool = False, reason: str = "") -> Flow[Run]:
    """Submit a ready proposal. The service makes one run of it, however often it is asked."""
    path = f"{API}proposals/{int(proposal_id)}/submit/"
    # Repeatable: the service derives the run's idempotency key from the proposal.
    call = Call("POST", path, body={"hold": hold, "reason": reason}, repeatable=True)
    return Run.from_json((yield from sending(call, within=within)).json())


# -- runs ------------------------------------------------------------------------------------------


def submit(  # the fields of POST /runs/; a record of its own would only say them twice
    within: float,
    workflow: str | Mapping[str, Any],
    *,
    targets: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    rollout: Mapping[str, Any] | None = None,
    version: int | None = None,
    dry_run: bool = False,
    include_maintenance: bool = False,
    hold: bool = False,
    reason: str = "",
    source: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Flow[Run]:
    """Submit a workflow, by name or as a definition, and give the planned run.

    The same `idempotency_key` gives the same run; without one the client makes one for its own tries.
    """
    body = {
        "workflow" if isinstance(workflow, str) else "definition": workflow,
        "version": version,
        "targets": targets,
        "parameters": parameters,
        "rollout": rollout,
        "dry_run": dry_run or None,
        "include_maintenance": include_maintenance or None,
        "hold": hold or None,
        "reason": reason or None,
        "source": source,
    }
    return (yield from _submit(within, "runs/", _given(body), idempotency_key))


def submit_command(  # the fields of POST /runs/command/
    within: float,
    command: str,
    *,
    targets: str,
    effect: str,
    shell: str = "bash",
    become: bool = False,
    timeout: str | None = None,
    rollout: Mapping[str, Any] | None = None,
    include_maintenance: bool = False,
    hold: bool = False,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Flow[Run]:
    """Submit a command for the targets of a query: a run like any other, planned and decided on.

    `effect` is what the caller says that it does (`read`, `change` or `destructive`); `timeout` is as in the
    workflow language (`"10m"`).
    """
    body = {
        "command": command,
        "targets": targets,
        "effect": effect,
        "shell": shell,
        "become": become or None,
        "timeout": timeout,
        "rollout": rollout,
        "include_maintenance": include_maintenance or None,
        "hold": hold or None,
        "reason": reason or None,
    }
    return (yield from _submit(within, "runs/command/", _given(body), idempotency_key))


def rerun(
    within: float,
    run: int,
    *,
    targets: str = "all",
    from_step: str | None = None,
    secrets: Mapping[str, Any] | None = None,
    hold: bool = False,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Flow[Run]:
    """Run once more what a finished run did: same version, parameters and rollout, a new plan and approvals.

    `targets`: `"all"`, or `"failed"` for those that are not good; what is unknown there may be done twice
    (the answer's `repeats` names those). `from_step`: the name of the first step that runs, None for all.
    `secrets` are the run's secret parameters, which are not kept.
    Raises InvalidRequestError when one is missing or no target failed, ConflictError while the run goes on.
    """
    body = {
        "targets": targets,
        "from_step": from_step,
        "parameters": secrets or None,
        "hold": hold or None,
        "reason": reason or None,
    }
    return (yield from _submit(within, f"runs/{int(run)}/rerun/", _given(body), idempotency_key))


def runs(within: float, *, status: str | None = None, workflow: str | None = None) -> Stream[Run]:
    """Give the runs, newest first (in this status, of this workflow), page by page."""
    return _pages(within, "runs/", {"status": status, "workflow": workflow}, Run)


def status(within: float, run: int) -> Flow[Run]:
    """Say how a run stands."""
    return Run.from_json((yield from _send(within, "GET", f"runs/{int(run)}/")).json())


def plan(within: float, run: int) -> Stream[PlannedTarget]:
    """Give the targets of a run's frozen plan, in its order; the steps are in `status(run).raw["plan"]`."""
    return _pages(within, f"runs/{int(run)}/plan/", {}, PlannedTarget)


def results(within: float, run: int, state: str | None = None) -> Stream[StepResult]:
    """Give every step result of a run (in `state`)."""
    return _pages(within, f"runs/{int(run)}/results/", {"state": state}, StepResult)


def forecast(within: float, run: int) -> Stream[TargetForecast]:
    """Give what a dry run found on each target. InvalidRequestError for a run that was not dry."""
    return _pages(within, f"runs/{int(run)}/forecast/", {}, TargetForecast)


def cancel(within: float, run: int, *, reason: str = "") -> Flow[Run]:
    """Ask a run to stop; it is stopped when its status says so."""
    return (yield from _decide(within, run, "cancel", {"reason": reason}))


def pause(within: float, run: int, *, reason: str = "") -> Flow[Run]:
    """Let a run start nothing new; what has started goes on."""
    return (yield from _decide(within, run, "pause", {"reason": reason}))


def resume(within: float, run: int, *, reason: str = "") -> Flow[Run]:
    """Let a paused run go on; for people's tokens alone."""
    return (yield from _decide(within, run, "resume", {"reason": reason}))


def start(within: float, run: int, plan_hash: str, reason: str = "") -> Flow[Run]:
    """Start a held run whose plan was looked at."""
    return (yield from _decide(within, run, "start", {"plan_hash": plan_hash, "reason": reason}))


def approve(within: float, run: int, plan_hash: str, reason: str = "") -> Flow[Run]:
    """Approve the plan with this very hash. ConflictError when the run has another, or was decided."""
    return (yield from _decide(within, run, "approve", {"plan_hash": plan_hash, "reason": reason}))


def reject(within: float, run: int, plan_hash: str, reason: str = "") -> Flow[Run]:
    """Reject the plan with this very hash."""
    return (yield from _decide(within, run, "reject", {"plan_hash": plan_hash, "reason": reason}))


# -- one request -----------------------------------------------------------------------------------


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _submit(within: float, path: str, body: Mapping[str, Any], key: str | None) -> Flow[Run]:
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    call = Call("POST", API + path, body=body, headers=headers, repeatable=True)
    return Run.from_json((yield from sending(call, within=within)).json())


def _decide(within: float, run: int, verb: str, body: Mapping[str, Any]) -> Flow[Run]:
    return Run.from_json((yield from _send(within, "POST", f"runs/{int(run)}/{verb}/", body)).json())


def _send(within: float, method: str, path: str, body: Mapping[str, Any] | None = None) -> Flow[Answer]:
    call = Call(method, API + path, body=body, repeatable=method == "GET")
    return (yield from sending(call, within=within))


def _pages(within: float, path: str, chosen: Mapping[str, str | None], kind: type[Any]) -> Stream[Any]:
    """Every row of a list as `kind`, page by page."""
    params = {key: value for key, value in chosen.items() if value} | {"limit": str(PAGE)}
    while True:
        call = Call("GET", API + path, params=params, repeatable=True)
        page = (yield from sending(call, within=within)).json()
        for row in page["results"]:
            yield Item(kind.from_json(row))
        following = page.get("next")
        if not following:
            return
        # Only the query is taken from the link: a wrong or hostile host in it never sees the token.
        params = dict(parse_qsl(urlsplit(str(following)).query))
