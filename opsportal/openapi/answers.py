"""Shapes of answers that no serializer writes, by name."""

from __future__ import annotations

from automation.api.credentials import SECRETS
from automation.forecast import ANSWERS
from automation.models import (
    ApiToken,
    Attempt,
    Participant,
    ResultState,
    RunStatus,
    RunTarget,
    TargetTest,
)
from automation.repeat import WHICH
from automation.roles import SCOPES
from opsportal.openapi.shapes import (
    ANYTHING,
    COUNTS,
    FLAG,
    MAPPING,
    MOMENT,
    NUMBER,
    TEXT,
    WHOLE,
    Shape,
    lacking,
    listed,
    one_of,
    or_null,
    record,
    reference,
)

HASH: Shape = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
BODIES = one_of(Attempt.Body.values)
LINKS: Shape = {"type": "object", "additionalProperties": {"type": "string", "format": "uri-reference"}}

RUN_SUMMARY = {
    "id": WHOLE,
    "status": one_of(RunStatus.values),
    "workflow": TEXT,
    "version": or_null(WHOLE),
    "plan_hash": HASH,
    "risk": record(tier=TEXT, findings=listed(ANYTHING)),
    "approvals_required": WHOLE,
    "dry_run": FLAG,
    "repeats": or_null(
        record(
            "The run that this one is again; on `unknown` targets it may be done twice.",
            run=WHOLE,
            targets=one_of(WHICH),
            unknown=listed(TEXT),
        )
    ),
    "reason": TEXT,
    "submitted_by": TEXT,
    "author_kind": TEXT,
    "counts": {**COUNTS, "description": "Step results by state."},
    "targets": WHOLE,
    "bad": WHOLE,
    "stop_code": TEXT,
    "cancel_requested": FLAG,
    "last_seq": WHOLE,
    "timings": record(
        created_at=MOMENT, expires_at=MOMENT, started_at=or_null(MOMENT), finished_at=or_null(MOMENT)
    ),
    "links": LINKS,
}
LEAF = record(
    target=TEXT,
    position=WHOLE,
    batch=WHOLE,
    state=one_of(RunTarget.State.values),
    good=or_null(FLAG),
    leaf=MAPPING,
    leaf_hash=HASH,
)
PARTICIPANT = lacking(
    record(
        user=TEXT,
        part=one_of(Participant.Part.values),
        decision=TEXT,
        reason=TEXT,
        plan_hash=TEXT,
        at=MOMENT,
    ),
    "decision",
    "reason",
    "plan_hash",
)
RUN_DETAIL = {
    **RUN_SUMMARY,
    "blast_radius": MAPPING,
    "source": MAPPING,
    "inputs": record(parameters=MAPPING, rollout=ANYTHING, query=ANYTHING, secret_parameters=listed(TEXT)),
    "plan": record(header=MAPPING, header_hash=HASH, leaves=listed(reference("PlannedTarget"))),
    "repeated_by": listed(WHOLE),
    "forecast": or_null(listed(record(step=TEXT, **dict.fromkeys(ANSWERS, WHOLE)))),
    "batches": listed(record(batch=WHOLE, targets=WHOLE, done=WHOLE, good=WHOLE, open=FLAG)),
    "participants": listed(PARTICIPANT),
    "approvals": record(required=WHOLE, given=WHOLE),
    "can_approve": FLAG,
    "why_not": or_null(record(code=TEXT, message=TEXT)),
}
WORKFLOW_SUMMARY = {
    "id": WHOLE,
    "name": TEXT,
    "summary": TEXT,
    "version": or_null(WHOLE),
    "targets": or_null(TEXT),
    "parameters": MAPPING,
    "created_at": MOMENT,
}
WORKFLOW_VERSION = {
    "version": WHOLE,
    "definition": MAPPING,
    "text": TEXT,
    "author": or_null(TEXT),
    "published_at": MOMENT,
}
TOKEN = {
    "id": WHOLE,
    "name": TEXT,
    "kind": one_of(ApiToken.Kind.values),
    "scopes": listed(one_of(sorted(SCOPES))),
    "created_at": MOMENT,
    "expires_at": MOMENT,
    "last_used_at": or_null(MOMENT),
}
ROW_MISTAKE = record(
    line=or_null(WHOLE),
    column=or_null(WHOLE),
    row=ANYTHING,
    field=or_null(TEXT),
    message=TEXT,
    next_step=or_null(TEXT),
)

ANSWERS_BY_NAME: dict[str, Shape] = {
    "Problem": record(
        "What went wrong (RFC 9457): `code` for programs, `detail` for people, `errors` name the places.",
        type=TEXT,
        title=TEXT,
        status=WHOLE,
        detail=TEXT,
        code=TEXT,
        errors=listed(MAPPING),
    ),
    "RunSummary": record(**RUN_SUMMARY),
    "SubmittedRun": record(**RUN_SUMMARY, blast_radius=MAPPING),
    "Run": record(**RUN_DETAIL),
    "ProposalRun": record(**RUN_DETAIL, results=listed(reference("StepResult"))),
    "PlannedTarget": LEAF,
    "TargetForecast": record(target=TEXT, **dict.fromkeys(ANSWERS, listed(TEXT))),
    "StepResult": record(
        target=TEXT,
        step=TEXT,
        state=one_of(ResultState.values),
        code=TEXT,
        message=TEXT,
        exit_code=or_null(WHOLE),
        attempt=or_null(TEXT),
        started_at=or_null(MOMENT),
        finished_at=or_null(MOMENT),
        verified=or_null(FLAG),
        undone=or_null(FLAG),
        outputs=MAPPING,
    ),
    "Event": {
        **record(
            "One line of a run's story; further keys depend on its kind.", seq=WHOLE, at=MOMENT, kind=TEXT
        ),
        "additionalProperties": True,
    },
    "Events": record(events=listed(reference("Event")), last=WHOLE, final=FLAG),
    "WorkflowSummary": record(**WORKFLOW_SUMMARY),
    "WorkflowVersion": record(**WORKFLOW_VERSION),
    "Workflow": record(**(WORKFLOW_SUMMARY | WORKFLOW_VERSION)),
    "PublishedVersion": record(name=TEXT, summary=TEXT, **WORKFLOW_VERSION),
    "WorkflowChanges": record(
        **{"from": WHOLE},
        name=TEXT,
        to=WHOLE,
        changes=listed(record(kind=TEXT, path=TEXT, before=ANYTHING, after=ANYTHING)),
    ),
    "Token": record(**TOKEN),
    "MadeToken": record("`token` is shown this once.", **TOKEN, token=TEXT),
    "File": record(
        id=WHOLE,
        run=or_null(WHOLE),
        target=or_null(TEXT),
        step=or_null(TEXT),
        name=TEXT,
        size=WHOLE,
        sha256=HASH,
        uploaded_by=or_null(TEXT),
        created_at=MOMENT,
        links=LINKS,
    ),
    "TargetTest": record(
        id=WHOLE,
        target=WHOLE,
        kind=one_of(TargetTest.Kind.values),
        state=one_of(TargetTest.State.values),
        success=or_null(FLAG),
        code=TEXT,
        cause=TEXT,
        next_step=TEXT,
        phases=listed(ANYTHING),
        host_key=TEXT,
        seconds=or_null(NUMBER),
        scheduled=FLAG,
        asked_by=or_null(TEXT),
        created_at=MOMENT,
        finished_at=or_null(MOMENT),
    ),
    "Me": record(name=TEXT, kind=one_of(ApiToken.Kind.values), scopes=listed(one_of(sorted(SCOPES)))),
    "Libraries": record(results=listed(reference("Library"))),
    "Library": lacking(
        record(
            name=TEXT,
            version=TEXT,
            description=TEXT,
            capabilities=listed(TEXT),
            supported_auth=listed(TEXT),
            timeouts=MAPPING,
            retry_settings=MAPPING,
            dependencies=MAPPING,
            ready=FLAG,
            default_port=WHOLE,
            default_ports=MAPPING,
            supported_protocols=listed(TEXT),
        ),
        "default_port",
        "default_ports",
        "supported_protocols",
    ),
    "ManyTests": record(asked=WHOLE, tests=listed(WHOLE)),
    "CredentialTrial": record(
        success=FLAG, code=TEXT, message=TEXT, next_step=TEXT, gives=listed(one_of(SECRETS))
    ),
    "ImportReport": record(
        dry_run=FLAG,
        done=COUNTS,
        rows=listed(record(kind=TEXT, name=TEXT, done=TEXT, changes=listed(ANYTHING))),
        rows_total=WHOLE,
        notices=listed(ANYTHING),
        skipped=listed(ROW_MISTAKE),
    ),
}
CORRECTED: dict[str, dict[str, Shape]] = {
    "HostKey": {"decided_by": or_null(TEXT)},
    "Authority": {"added_by": or_null(TEXT)},
    "Proposal": {
        "definition": or_null(MAPPING),
        "parameters": MAPPING,
        "alternatives": listed(ANYTHING),
        "questions": listed(ANYTHING),
        "time": or_null(MAPPING),
    },
    "Credential": {
        f"has_{name}": {**or_null(FLAG), "description": "Whether it is stored; null where it cannot be read."}
        for name in SECRETS
    }
    | {"used_by": record(targets=listed(TEXT), groups=listed(TEXT), environments=listed(TEXT))},
}
"""What answers have beside the fields of their serializer, or a serializer cannot tell of them."""
SOMETIMES = frozenset({"used_by"})
"""Those of them that not every answer has."""
