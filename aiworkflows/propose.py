"""From a sentence to a proposal, and from a proposal to a run."""

from functools import cache
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError
from aiworkflows.client_types import Run
from aiworkflows.inventory import read_inventory
from aiworkflows.models import LearnedChoice, Proposal, ProposalStateError
from aiworkflows.planners.catalogue import CataloguePlanner
from aiworkflows.planners.contract import Planner


@cache
def catalogue_planner() -> CataloguePlanner:
    """The planner over the product's own catalogue; reading it takes half a second, so once a process."""
    return CataloguePlanner(clock=timezone.localtime)


def propose(
    request: str, author: AbstractBaseUser, *, client: AutomationClient, planner: Planner
) -> Proposal:
    """Make a proposal of a sentence, with what `client`'s principal may see. Raises AutomationError."""
    proposal = Proposal.objects.create(request=request, author=author)  # type: ignore[misc]  # any user model
    try:
        _plan(proposal, client, planner)
    except AutomationError as error:
        proposal.failed(f"The inventory could not be read: {error.detail}")
        raise
    return proposal


def answer(
    proposal: Proposal,
    answers: dict[str, Any],
    *,
    client: AutomationClient,
    planner: Planner,
    by_a_person: bool = False,
) -> Proposal:
    """Plan again with what was answered. Raises AutomationError, ProposalStateError, AnswerError.

    A runbook chosen `by_a_person` is remembered for alike requests.
    """
    with transaction.atomic():
        current = Proposal.objects.select_for_update().get(pk=proposal.pk)
        current.take_answers(**answers)
        _plan(current, client, planner)
        if by_a_person and answers.get("runbook"):
            LearnedChoice.objects.learn(current.words, current.runbook)
    return current


def submit(
    proposal: Proposal, *, client: AutomationClient, hold: bool, reason: str, by_a_person: bool = False
) -> Run:
    """Make a run of a ready proposal, as the client's principal; the same run when asked again.

    Submitted `by_a_person`, its runbook is remembered for alike requests.

    The proposal's row stays locked meanwhile: in one process, run and proposal are committed together, and
    elsewhere the idempotency key finds the run of a submission whose end was not seen.
    """
    with transaction.atomic():
        current = (
            Proposal.objects.select_for_update(of=("self",)).select_related("author").get(pk=proposal.pk)
        )
        if current.run is not None:
            return client.status(current.run)
        if current.status != Proposal.Status.READY:
            raise ProposalStateError(current, "submitted")
        run = client.submit(
            current.definition or {},
            targets=current.targets,
            parameters=current.parameters,
            hold=hold,
            reason=reason,
            source=current.source,
            idempotency_key=current.idempotency_key,
        )
        current.submitted(run.id)
        if by_a_person:
            LearnedChoice.objects.learn(current.words, current.runbook)
    return run


def _plan(proposal: Proposal, client: AutomationClient, planner: Planner) -> None:
    plan = planner.plan(
        proposal.request,
        read_inventory(client),
        proposal.given_answers(),
        learned=LearnedChoice.objects.newest(),
    )
    proposal.planned(plan, planner=planner.name, model=planner.model)
