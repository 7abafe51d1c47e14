"""Workflows and their versions."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.entity_tags import meant_versions, tag_of, unchanged_for
from automation.api.pages import PAGE, whole_number
from automation.api.permissions import require_person
from automation.api.problems import Problem
from automation.api.strict import Mapped, Strict, Text
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.definitions.differing import changes_between
from automation.definitions.errors import did_you_mean
from automation.definitions.schema import json_schema, load_workflow, read_workflow
from automation.models import Workflow, WorkflowVersion
from automation.plan import canonical

SCOPES = {"GET": "runs:read", "POST": "runs:submit"}


class NewVersion(Strict):
    """`definition` as data, or `text` as YAML or JSON."""

    definition = Mapped(required=False)
    text = Text(required=False, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either definition or text.")
        return attrs


class WorkflowViews(ApiViewSet):
    """Workflows go by name; posting a definition makes the next version of the workflow it names.

    `ETag` is the newest version. With it as `If-Match`, a definition is stored only where that version is
    still the newest, so that nobody overwrites what somebody else has just published.
    """

    http_method_names = READ_AND_POST
    lookup_field = "name"
    lookup_value_regex = "[a-z0-9-]{1,64}"
    scopes = SCOPES
    list_keys = ("search",)
    page_order = ("name", "pk")

    def get_queryset(self) -> Any:
        newest = WorkflowVersion.objects.filter(workflow=OuterRef("pk")).order_by("-number")
        return self.searched(Workflow.objects.all()).annotate(
            newest_number=Subquery(newest.values("number")[:1]),
            newest_definition=Subquery(newest.values("definition")[:1]),
        )

    def list(self, request: Request) -> Response:
        return self.paged(self.get_queryset(), summary)

    def retrieve(self, request: Request, name: str) -> Response:
        workflow = self.get_object()
        newest = workflow.versions.select_related("author").order_by("-number").first()
        tag = tag_of(newest.number)
        if unchanged_for(request, tag):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
        return Response(summary(workflow) | version_answer(newest), headers={"ETag": tag})

    def create(self, request: Request) -> Response:
        # A version does not tell who wrote it: what an AI writes goes into a run, never onto the shelf.
        require_person(request, "publish a workflow")
        body = NewVersion(data=request.data)
        body.is_valid(raise_exception=True)
        if "text" in body.validated_data:
            text = body.validated_data["text"]
            definition = load_workflow(text).canonical()
        else:
            definition = read_workflow(body.validated_data["definition"]).canonical()
            text = canonical(body.validated_data["definition"])
        over = meant_versions(request)
        known = WorkflowVersion.objects.filter(workflow__name=definition["name"]).count()
        version = Workflow.objects.publish(definition, text=text, author=request.user, over=over)
        made = version.number > known
        return Response(
            {"name": definition["name"], "summary": definition["summary"], **version_answer(version)},
            status=status.HTTP_201_CREATED if made else status.HTTP_200_OK,
            headers={"ETag": tag_of(version.number)},
        )

    @action(detail=False, url_path="schema")
    def language(self, request: Request) -> Response:
        """The JSON Schema of the language, for editors and programs."""
        return Response(json_schema())

    @action(detail=True, query_keys=("from", "to"))
    def diff(self, request: Request, name: str) -> Response:
        """What version `to` (the newest) changes against version `from` (the one before it)."""
        workflow = self.get_object()
        later = _numbered(workflow, whole_number(request, "to", default=0, at_least=1, at_most=2**31 - 1))
        before = max(later.number - 1, 1)
        number = whole_number(request, "from", default=before, at_least=1, at_most=2**31 - 1)
        earlier = _numbered(workflow, number)
        changes = changes_between(earlier.definition, later.definition)
        return Response(
            {
                "name": workflow.name,
                "from": earlier.number,
                "to": later.number,
                "changes": [change.as_dict() for change in changes],
            }
        )

    @action(detail=True, query_keys=PAGE, page_order=("-number",))
    def versions(self, request: Request, name: str) -> Response:
        rows = self.get_object().versions.select_related("author")
        return self.paged(rows, version_answer)


def _numbered(workflow: Workflow, number: int) -> WorkflowVersion:
    """This version, the newest for 0. Raises Http404."""
    versions: QuerySet[WorkflowVersion] = workflow.versions.order_by("-number")
    found = (versions.filter(number=number) if number else versions).first()
    if found is None:
        raise Http404
    return found


def summary(workflow: Any) -> dict[str, Any]:
    definition = workflow.newest_definition or {}
    return {
        "id": workflow.pk,
        "name": workflow.name,
        "summary": definition.get("summary", ""),
        "version": workflow.newest_number,
        "targets": definition.get("targets"),
        "parameters": definition.get("parameters", {}),
        "created_at": workflow.created_at,
    }


def version_answer(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "definition": version.definition,
        "text": version.text,
        "author": version.author.get_username() if version.author else None,
        "published_at": version.created_at,
    }


def version_for(workflows: QuerySet[Any], name: str, number: int | None) -> WorkflowVersion:
    """The version of the workflow of this name, the newest unless `number` says which. Raises Problem 400."""
    workflow = workflows.filter(name=name).first()
    if workflow is None:
        near = did_you_mean(name, workflows.values_list("name", flat=True))
        raise _refusal("workflow", f"There is no workflow {name[:100]!r}{near}", "workflow.unknown")
    versions: QuerySet[WorkflowVersion] = workflow.versions.order_by("-number")
    version = versions.first() if number is None else versions.filter(number=number).first()
    if version is None:
        raise _refusal("version", f"Workflow {name} has no version {number}.", "workflow.version_unknown")
    return version


def _refusal(field: str, message: str, code: str) -> Problem:
    return Problem(message, code=code, errors=[{"field": field, "message": message}])
