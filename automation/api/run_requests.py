"""What may be asked of runs."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework import serializers
from rest_framework.request import Request

from automation.api.authentication import principal, token_of
from automation.api.problems import Problem
from automation.api.strict import Choice, Flag, Mapped, Strict, Text, Whole
from automation.api.workflows import version_for
from automation.definitions.commands import command_workflow
from automation.definitions.query import parse
from automation.definitions.schema import EFFECTS, Workflow, read_workflow
from automation.models import JobRun, WorkflowVersion
from automation.models import Workflow as StoredWorkflow
from automation.repeat import WHICH
from automation.rerun import Again, rerun
from automation.submit import Submission


class Why(Text):
    """An optional sentence."""

    def __init__(self) -> None:
        super().__init__(required=False, allow_blank=True, max_length=2000)


class Source(Strict):
    """Where the wish came from; `requested_by` is the user whose sentence it was."""

    kind = Text(required=False, max_length=40)
    prompt = Text(required=False, allow_blank=True, allow_null=True, max_length=10_000)
    model = Text(required=False, allow_blank=True, allow_null=True, max_length=200)
    proposal = Whole(required=False, min_value=1, max_value=2**63 - 1)
    requested_by = serializers.SlugRelatedField[User](
        slug_field="username", queryset=User.objects.all(), required=False
    )


class NewRun(Strict):
    """The body of a submission."""

    workflow = Text(required=False, max_length=100)
    definition = Mapped(required=False)
    version = Whole(required=False, min_value=1, max_value=2**31 - 1)
    targets = Text(required=False, max_length=2000)
    parameters = Mapped(required=False)
    rollout = Mapped(required=False)
    dry_run = Flag(default=False)
    include_maintenance = Flag(default=False)
    hold = Flag(default=False)
    reason = Why()
    source = Source(required=False)  # type: ignore[assignment]  # DRF has an attribute of this name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("workflow" in attrs) == ("definition" in attrs):
            raise serializers.ValidationError("Give either workflow (a name) or definition.")
        if "definition" in attrs and "version" in attrs:
            raise serializers.ValidationError({"version": ["Only a workflow given by name has versions."]})
        return attrs


class NewCommand(Strict):
    """The body of a command for the targets of a query; `effect` is what the person says it does."""

    command = Text(max_length=1024 * 1024, trim_whitespace=False)
    effect = Choice(choices=EFFECTS)
    targets = Text(max_length=2000)
    shell = Choice(choices=("bash", "powershell"), default="bash")
    become = Flag(default=False)
    timeout = Text(max_length=20, default="10m")
    rollout = Mapped(required=False)
    include_maintenance = Flag(default=False)
    hold = Flag(default=False)
    reason = Why()
    source = Source(required=False)  # type: ignore[assignment]  # DRF has an attribute of this name


class NewRerun(Strict):
    """The body of a run again; `parameters` are the secret ones alone, for they are not kept.

    `from_step` names the first step that runs; those before it are left out.
    """

    targets = Choice(choices=WHICH, default="all")
    from_step = Text(required=False, max_length=100)
    parameters = Mapped(required=False)
    hold = Flag(default=False)
    reason = Why()


class Decision(Strict):
    """A decision names the plan it is about."""

    plan_hash = Text(max_length=64)
    reason = Why()


class Reason(Strict):
    """Why."""

    reason = Why()


def submission(request: Request) -> Submission:
    """What the request asks for. Raises ValidationError, Problem, and the errors of the workflow language."""
    body = NewRun(data=request.data)
    body.is_valid(raise_exception=True)
    given = body.validated_data
    workflow, version = _workflow(request, given)
    return _submission(request, given, workflow, version)


def command_submission(request: Request) -> Submission:
    """What a request for a command asks for: a run like any other. Raises as `submission` does."""
    body = NewCommand(data=request.data)
    body.is_valid(raise_exception=True)
    given = body.validated_data
    workflow = command_workflow(
        given["command"],
        effect=given["effect"],
        shell=given["shell"],
        become=given["become"],
        timeout=given["timeout"],
    )
    return _submission(request, {"dry_run": False, **given}, workflow, None)


def rerun_submission(request: Request, earlier: JobRun) -> Submission:
    """What a request for a run again asks for. Raises ValidationError and PlanError."""
    body = NewRerun(data=request.data)
    body.is_valid(raise_exception=True)
    given = body.validated_data
    wanted = Again(
        submitter=principal(request),
        which=given["targets"],
        from_step=given.get("from_step", ""),
        token=token_of(request),
        secrets=given.get("parameters", {}),
        hold=given["hold"],
        reason=given.get("reason", "").strip(),
    )
    return rerun(earlier, wanted)


def _submission(
    request: Request, given: dict[str, Any], workflow: Workflow, version: WorkflowVersion | None
) -> Submission:
    source = dict(given.get("source", {}))
    typed_by = source.pop("requested_by", None)
    token = token_of(request)
    owner = token.user if token is not None else None
    if typed_by is not None:
        source["requested_by"] = typed_by.get_username()
    return Submission(
        workflow=workflow,
        version=version,
        query=parse(_targets(given, workflow)),
        submitter=principal(request),
        # Everybody who had a part in asking: none of them may approve.
        requesters=tuple(person for person in (owner, typed_by) if person is not None),
        token=token,
        parameters=given.get("parameters", {}),
        rollout=given.get("rollout"),
        dry_run=given["dry_run"],
        include_maintenance=given["include_maintenance"],
        hold=given["hold"],
        reason=given.get("reason", ""),
        source=source,
    )


def _workflow(request: Request, given: dict[str, Any]) -> tuple[Workflow, WorkflowVersion | None]:
    if "definition" in given:
        return read_workflow(given["definition"], origin="definition"), None
    visible = StoredWorkflow.objects.visible_to(request.user)
    version = version_for(visible, given["workflow"], given.get("version"))
    return Workflow.from_canonical(version.definition), version


def _targets(given: dict[str, Any], workflow: Workflow) -> str:
    text: str | None = given.get("targets", workflow.targets)
    if text is None:
        message = "The workflow names no targets, so the run must: give a target query, for instance all."
        raise Problem(message, code="targets.missing", errors=[{"field": "targets", "message": message}])
    return text
