"""A run once more: the same version, parameters and rollout on the same targets, planned and decided anew.

Nothing of the earlier decision counts: the new run has a plan, a hash, a policy decision and approvals of its
own. Only trust is carried over, and only downwards: who had a part in asking for the earlier run approves
neither, and what an AI wrote stays written by an AI.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automation.definitions.errors import ParameterFinding
from automation.definitions.expanding import origins
from automation.definitions.query import parse
from automation.definitions.schema import Workflow, read_workflow
from automation.definitions.starting import starting_at
from automation.models import JobRun, Participant
from automation.plan import PlanError
from automation.repeat import Repeat, Which
from automation.submit import Submission

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from automation.models import ApiToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What somebody asks for. `secrets` are given anew, for those of a run are deleted with its end.

    `from_step` is the name of the first step to run; empty for all that the earlier run had.
    """

    submitter: User
    which: Which = "all"
    from_step: str = ""
    token: ApiToken | None = None
    secrets: Mapping[str, object] = field(default_factory=dict, repr=False)
    hold: bool = False
    reason: str = ""


def rerun(earlier: JobRun, wanted: Again) -> Submission:
    """The submission that repeats a run; `submit` or `prepare` take it.

    Raises PlanError (the run is not over, no target of it failed, a secret is missing) and DefinitionError
    (the definition is no longer read, it cannot start at that step).
    """
    if not earlier.is_final:
        raise PlanError(
            "run.not_over",
            f"Run {earlier.pk} is {earlier.status}: it can be run again when it is over.",
        )
    repeat = Repeat.of(earlier, wanted.which, from_step=wanted.from_step)
    if repeat.is_empty:
        raise PlanError(
            "targets.none_failed",
            f"Every target of run {earlier.pk} is good. Ask for targets: all to run it again everywhere.",
            [{"path": "targets", "message": "names no target"}],
        )
    header = json.loads(earlier.header)
    workflow = workflow_of(earlier, header)
    if wanted.from_step:
        made_of = [step.name for step in origins(workflow, parameters_of(header, workflow))]
        workflow = starting_at(workflow, wanted.from_step)
        kept = {step.name for step in workflow.steps}
        repeat = repeat.beginning_after(sum(name not in kept for name in made_of))
    asked_before = earlier.participants.filter(part=Participant.Part.REQUESTER).select_related("user")
    owner = [wanted.token.user] if wanted.token is not None else []
    return Submission(
        workflow=workflow,
        version=earlier.workflow_version,
        query=parse(header["query"]),
        submitter=wanted.submitter,
        requesters=(*owner, *(person.user for person in asked_before)),
        token=wanted.token,
        parameters=parameters_of(header, workflow) | given_again(header, wanted.secrets),
        rollout=earlier.asked.get("rollout"),
        dry_run=earlier.dry_run,
        include_maintenance=bool(header.get("include_maintenance")),
        hold=wanted.hold,
        reason=wanted.reason or f"Run {earlier.pk} again",
        source=earlier.source,
        repeat=repeat,
    )


def workflow_of(run: JobRun, header: Mapping[str, Any]) -> Workflow:
    """What the run was asked to do, before loops and files became steps. Raises as `rerun` does."""
    if run.workflow_version is not None:
        whole = Workflow.from_canonical(run.workflow_version.definition)
        first = (header.get("repeats") or {}).get("from_step")
        return starting_at(whole, first) if first else whole
    if definition := run.asked.get("definition"):
        return read_workflow(definition, origin="stored workflow")
    if header.get("files") or header.get("downloads"):
        # Kept of old runs is only what became of it, without the files.
        raise PlanError(
            "run.not_repeatable",
            f"The workflow of run {run.pk} was not kept as it was written: submit it again.",
        )
    return read_workflow(header["workflow"], origin="stored workflow")


def parameters_of(header: Mapping[str, Any], workflow: Workflow) -> dict[str, Any]:
    """What was given, without secrets and without what the plan added to it."""
    frozen = header["parameters"]
    return {name: frozen[name] for name in workflow.parameters if frozen.get(name) is not None}


def secret_names(header: Mapping[str, Any]) -> list[str]:
    """The secret parameters that the run had."""
    return sorted(header.get("secrets", {}))


def given_again(header: Mapping[str, Any], secrets: Mapping[str, object]) -> dict[str, object]:
    """The secrets. Raises PlanError for one that is missing, and for anything that is none."""
    wanted = secret_names(header)
    missing = [name for name in wanted if secrets.get(name) in (None, "")]
    if other := sorted(set(secrets) - set(wanted)):
        named = ", ".join(name[:64] for name in other[:10])
        raise PlanError(
            "parameters.not_secret",
            f"A run again has the parameters it had; only its secret ones are given anew, and {named} "
            "is none of those. For other values submit a new run.",
            _findings(other[:10], "is no secret parameter of that run"),
        )
    if missing:
        raise PlanError(
            "parameters.secret_again",
            f"Secret parameters are deleted when a run ends; give these again: {', '.join(missing)}.",
            _findings(missing, "is a secret and must be given again"),
        )
    return dict(secrets)


def _findings(names: list[str], message: str) -> list[dict[str, Any]]:
    return [dict(ParameterFinding(path=f"parameters.{name[:64]}", message=message)) for name in names]
