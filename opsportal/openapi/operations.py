"""What each operation takes and gives, by the route's name and the view's action."""

from __future__ import annotations

from django.apps import apps

from automation.api.credentials import CredentialSerializer
from automation.api.environment_defaults import EnvironmentDefaultSerializer
from automation.api.groups import GroupSerializer
from automation.api.host_keys import AuthoritySerializer, ChosenKeys, HostKeySerializer
from automation.api.inventory import TargetSerializer
from automation.api.inventory_files import NewImport
from automation.api.looks import ManyAsked
from automation.api.run_requests import Decision, NewCommand, NewRerun, NewRun, Reason
from automation.api.tokens import NewToken
from automation.api.workflows import NewVersion
from automation.inventory_files.writing import EXPORT_FORMATS, WRITERS
from automation.models import ResultState, RunStatus, TargetTest
from opsportal.openapi.operation import BYTES, IDEMPOTENT, Operation, decision, look, named, rows
from opsportal.openapi.shapes import MAPPING, TEXT, listed, one_of, record, reference

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
        "rerun": Operation(
            says="Run what is over once more",
            body=NewRerun,
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
ME = {"me.list": Operation(says="Read who asks, and what is allowed", answer=reference("Me"))}
LIBRARIES = {
    "library.list": Operation(
        says="Read what the libraries that reach targets can do", answer=reference("Libraries")
    )
}
OPERATIONS: dict[str, Operation] = {**INVENTORY, **WORKFLOWS, **RUNS, **FILES, **TOKENS, **ME, **LIBRARIES}
if apps.is_installed("aiworkflows"):  # where the AI service is another portal, so are its operations
    from opsportal.openapi.proposals import PROPOSALS

    OPERATIONS |= PROPOSALS
