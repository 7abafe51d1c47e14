"""The operations on proposals, where this portal makes them."""

from __future__ import annotations

from aiworkflows.api.serializers import Answer, NewProposal, ProposalSerializer, Submission
from aiworkflows.models import Proposal
from opsportal.openapi.operation import Operation, named
from opsportal.openapi.shapes import one_of, reference

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
        "run": Operation(
            says="Read a proposal's run and all its results",
            answer=reference("ProposalRun"),
            problems=(503,),
            scopes=READS_PROPOSALS,
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
