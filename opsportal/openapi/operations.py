"""What each operation takes and gives, by the route's name and the view's action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiworkflows.api.serializers import Answer, NewProposal, ProposalSerializer, Submission
from aiworkflows.models import Proposal
from automation.api.credentials import CredentialSerializer
from automation.api.environment_defaults import EnvironmentDefaultSerializer
from automation.api.groups import GroupSerializer
from automation.api.host_keys import AuthoritySerializer, ChosenKeys, HostKeySerializer
from automation.api.inventory import TargetSerializer
from automation.api.inventory_files import NewImport
from automation.api.looks import ManyAsked
from automation.api.run_requests import Decision, NewCommand, NewRun, Reason
from automation.api.tokens import NewToken
from automation.api.workflows import NewVersion
from automation.inventory_files.writing import EXPORT_FORMATS, WRITERS
from automation.models import ResultState, RunStatus, TargetTest
from opsportal.openapi.shapes import MAPPING, TEXT, Shape, listed, one_of, record, reference

Form = type[Any]
"""A serializer."""
BYTES: dict[str, Shape] = {"application/octet-stream": {}}
IDEMPOTENT = ("Idempotency-Key",)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one route.

    `answer` is a shape, a serializer, or None for an answer that is not JSON; `paged` says that it comes in
    pages. `statuses` are those of success, `problems` those of refusal beside the usual ones. `media` are
    forms of the answer beside JSON. `scopes` are named where the view does not.
    """

    says: str
    answer: Shape | Form | None = None
    paged: bool = False
    body: Form | None = None
    body_media: str = "application/json"
    statuses: tuple[int, ...] = (200,)
    problems: tuple[int, ...] = ()
    media: Mapping[str, Shape] = field(default_factory=dict)
    request_headers: tuple[str, ...] = ()
    answer_headers: tuple[str, ...] = ()
    query: Mapping[str, Shape] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()


def rows(what: str, form: Form, answer: Shape | Form) -> dict[str, Operation]:
    """The operations on rows that are listed, read, made, changed in part and deleted."""
    return {
        "list": Operation(says=f"List {what}s", answer=answer, paged=True),
        "retrieve": Operation(says=f"Read a {what}", answer=answer),
        "create": Operation(
            says=f"Make a {what}", body=form, answer=answer, statuses=(201,), problems=(409,)
        ),
        "partial_update": Operation(
            says=f"Change a {what} in part", body=form, answer=answer, problems=(409,)
        ),
        "destroy": Operation(says=f"Delete a {what}", statuses=(204,), problems=(409,)),
    }


def named(route: str, operations: Mapping[str, Operation]) -> dict[str, Operation]:
    return {f"{route}.{action}": operation for action, operation in operations.items()}


def decision(says: str, form: Form) -> Operation:
    return Operation(says=says, body=form, answer=reference("Run"), problems=(409,))


def look(says: str) -> Operation:
    return Operation(says=says, answer=reference("TargetTest"), statuses=(202,), problems=(409,))


KEYS_DECIDED = record(decided=listed(reference("HostKey")))
INVENTORY = {
    **named(
        "target",
        rows("target", TargetSerializer, TargetSerializer)
        | {
            "test": look("Have a worker test the target"),
            "scan": look("Have a worker ask for the target's host keys"),
            "facts": look("Have a worker ask the target what it is"),
            "looks": Operation(
                says="Look at all targets of a query",
                body=ManyAsked,
                answer=reference("ManyTests"),
                statuses=(202,),
            ),
            "tests": Operation(
                says="List the looks at a target",
                answer=reference("TargetTest"),
                paged=True,
                query={"kind": one_of(TargetTest.Kind.values)},
            ),
        },
    ),
    **named("group", rows("group", GroupSerializer, GroupSerializer)),
    **named("credential", rows("credential", CredentialSerializer, CredentialSerializer)),
    "credential.test": Operation(
        says="Try whether a credential's secrets can be had", answer=reference("CredentialTrial")
    ),
    **named(
        "environment-default",
        rows("default credential", EnvironmentDefaultSerializer, EnvironmentDefaultSerializer),
    ),
    **named(
        "host-certificate-authority",
        rows("host certificate authority", AuthoritySerializer, AuthoritySerializer),
    ),
    **named(
        "host-key",
        {
            name: operation
            for name, operation in rows("host key", HostKeySerializer, HostKeySerializer).items()
            if name in ("list", "retrieve", "create")
        }
        | {
            "trust": Operation(says="Trust a host key", answer=HostKeySerializer, problems=(409,)),
            "revoke": Operation(says="Revoke a host key", answer=HostKeySerializer, problems=(409,)),
            "trust_many": Operation(
                says="Trust several host keys", body=ChosenKeys, answer=KEYS_DECIDED, problems=(404, 409)
            ),
            "revoke_many": Operation(
                says="Revoke several host keys", body=ChosenKeys, answer=KEYS_DECIDED, problems=(404, 409)
            ),
        },
    ),
    "inventory.take_in": Operation(
        says="Import an inventory file", body=NewImport, answer=reference("ImportReport"), problems=(409,)
    ),
    "inventory.give_out": Operation(
        says="Export the inventory",
        media={kind.split(";")[0]: {} for _, kind, _ in WRITERS.values()},
        query={"format": one_of(EXPORT_FORMATS)},
    ),
}
WORKFLOWS = named(
    "workflow",
    {
        "list": Operation(says="List workflows", answer=reference("WorkflowSummary"), paged=True),
        "retrieve": Operation(
            says="Read a workflow and its newest version",
            answer=reference("Workflow"),
            statuses=(200, 304),
            request_headers=("If-None-Match",),
            answer_headers=("ETag",),
        ),
        "create": Operation(
            says="Publish a version of a workflow",
            body=NewVersion,
            answer=reference("PublishedVersion"),
            statuses=(200, 201),
            problems=(409, 412),
            request_headers=("If-Match",),
            answer_headers=("ETag",),
        ),
        "language": Operation(says="Read the JSON Schema of the workflow language", answer=MAPPING),
        "diff": Operation(
            says="Compare two versions",
            answer=reference("WorkflowChanges"),
            query={name: {"type": "integer", "minimum": 1, "maximum": 2**31 - 1} for name in ("from", "to")},
        ),
        "versions": Operation(
            says="List the versions of a workflow", answer=reference("WorkflowVersion"), paged=True
        ),
    },
)
RUNS = named(
    "run",
    {
        "list": Operation(
            says="List runs",
            answer=reference("RunSummary"),
            paged=True,
            query={"status": one_of(RunStatus.values)},
        ),
        "retrieve": Operation(says="Read a run", answer=reference("Run")),
        "create": Operation(
            says="Submit a run",
            body=NewRun,
            answer=reference("SubmittedRun"),
            statuses=(200, 201),
            problems=(409,),
            request_headers=IDEMPOTENT,
        ),
        "command": Operation(
            says="Submit a command as a run",
            body=NewCommand,
            answer=reference("SubmittedRun"),
            statuses=(200, 201),
            problems=(409,),
            request_headers=IDEMPOTENT,
        ),
        "plan": Operation(says="List the planned targets", answer=reference("PlannedTarget"), paged=True),
        "forecast": Operation(
            says="List what a dry run found", answer=reference("TargetForecast"), paged=True
        ),
        "results": Operation(
            says="List the results of all steps",
            answer=reference("StepResult"),
            paged=True,
            query={"state": one_of(ResultState.values)},
        ),
        "events": Operation(
            says="Follow a run's story",
            answer=reference("Events"),
            media={"text/event-stream": TEXT},
            statuses=(200, 204),
            problems=(406,),
            request_headers=("Last-Event-ID",),
            query={"limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}},
        ),
        "output": Operation(
            says="Read output of a step",
            media=BYTES,
            answer_headers=("X-Offset", "X-Next-Offset", "X-Dropped", "X-Complete"),
            query={"limit": {"type": "integer", "minimum": 1, "maximum": 4 * 1024 * 1024}},
        ),
        "start": decision("Start a held run", Decision),
        "approve": decision("Approve a run", Decision),
        "reject": decision("Reject a run", Decision),
        "cancel": decision("Cancel a run", Reason),
        "pause": decision("Pause a run", Reason),
        "resume": decision("Resume a run", Reason),
    },
)
FILES = named(
    "file",
    {
        "list": Operation(says="List files", answer=reference("File"), paged=True),
        "retrieve": Operation(says="Read about a file", answer=reference("File")),
        "create": Operation(
            says="Store a file",
            body_media="application/octet-stream",
            answer=reference("File"),
            statuses=(201,),
        ),
        "destroy": Operation(says="Delete a file", statuses=(204,), problems=(409,)),
        "content": Operation(says="Read a file's bytes", media=BYTES),
    },
)
TOKENS = named(
    "token",
    {
        "list": Operation(says="List one's own tokens", answer=reference("Token"), paged=True),
        "create": Operation(
            says="Make a token", body=NewToken, answer=reference("MadeToken"), statuses=(201,)
        ),
        "destroy": Operation(says="Revoke a token", statuses=(204,)),
    },
)
PROPOSES = ("proposals:write",)
READS_PROPOSALS = ("runs:read",)
PROPOSALS = named(
    "proposal",
    {
        "list": Operation(
            says="List proposals",
            answer=ProposalSerializer,
            paged=True,
            query={"status": one_of(Proposal.Status.values)},
            scopes=READS_PROPOSALS,
        ),
        "retrieve": Operation(says="Read a proposal", answer=ProposalSerializer, scopes=READS_PROPOSALS),
        "create": Operation(
            says="Ask for a proposal",
            body=NewProposal,
            answer=ProposalSerializer,
            statuses=(201,),
            problems=(503,),
            scopes=PROPOSES,
        ),
        "partial_update": Operation(
            says="Answer a proposal's questions",
            body=Answer,
            answer=ProposalSerializer,
            problems=(409, 503),
            scopes=PROPOSES,
        ),
        "submit": Operation(
            says="Submit a proposal as a run",
            body=Submission,
            answer=reference("SubmittedRun"),
            statuses=(201,),
            problems=(409, 503),
            scopes=PROPOSES,
        ),
    },
)
OPERATIONS: dict[str, Operation] = {**INVENTORY, **WORKFLOWS, **RUNS, **FILES, **TOKENS, **PROPOSALS}
