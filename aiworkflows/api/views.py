"""Proposals over HTTP: thin, the verbs are in `aiworkflows.propose`."""

from typing import Any

from django.http import HttpResponseBase, JsonResponse
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotAuthenticated, NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from aiworkflows import propose
from aiworkflows.api.permissions import MayPropose
from aiworkflows.api.serializers import Answer, NewProposal, ProposalSerializer, Submission
from aiworkflows.automation_client import AutomationClient
from aiworkflows.automation_for import automation_for
from aiworkflows.client_errors import AutomationError
from aiworkflows.models import Proposal, ProposalQuerySet, ProposalStateError
from aiworkflows.planners.catalogue import AnswerError
from aiworkflows.planners.contract import Planner


class Pages(CursorPagination):
    """`{"next", "previous", "results"}`, newest first."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = ("-created", "-pk")


class ProposalViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Proposal]):
    """Propose, look, answer, submit. `?status=` chooses."""

    permission_classes = (MayPropose,)
    parser_classes = (JSONParser,)
    pagination_class = Pages
    serializer_class = ProposalSerializer
    http_method_names = ["get", "head", "post", "patch"]  # noqa: RUF012  # declared so by Django's View
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> ProposalQuerySet:
        proposals = Proposal.objects.visible_to(self.request.user).select_related("author")
        wanted = self.request.query_params.get("status") if self.action == "list" else None
        if wanted is None:
            return proposals
        if wanted not in Proposal.Status.values:
            raise ValidationError({"status": [f"must be one of {', '.join(Proposal.Status.values)}"]})
        return proposals.filter(status=wanted)

    def create(self, request: Request) -> Response:
        body = self._checked(NewProposal)
        if not request.user.is_authenticated:
            raise NotAuthenticated
        with self._client() as client:
            made = propose.propose(body["request"], request.user, client=client, planner=self._planner())
        return Response(ProposalSerializer(made).data, status=201)

    def partial_update(self, request: Request, pk: str) -> Response:
        body = self._checked(Answer)
        with self._client() as client:
            made = propose.answer(
                self.get_object(),
                body,
                client=client,
                planner=self._planner(),
                by_a_person=self._by_a_person(),
            )
        return Response(ProposalSerializer(made).data)

    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: str) -> Response:
        body = self._checked(Submission)
        with self._client() as client:
            run = propose.submit(
                self.get_object(),
                client=client,
                hold=body["hold"],
                reason=body["reason"],
                by_a_person=self._by_a_person(),
            )
        return Response(run.raw, status=201)

    @action(detail=True, methods=["get"])
    def run(self, request: Request, pk: str) -> Response:
        """The proposal's run as it stands at the automation service, with its `results`."""
        number = self.get_object().run
        if number is None:
            raise NotFound("This proposal is no run yet.")
        with self._client() as client:
            now = client.status(number)
            rows = [row.raw for row in client.results(number)]
        return Response({**now.raw, "results": rows})

    def handle_exception(self, exc: Exception) -> Response:
        answer: HttpResponseBase
        if isinstance(exc, AutomationError):
            # What the automation service says is said on; that it said nothing is ours to tell.
            answer = _problem(exc.status or 503, exc.code, exc.detail, errors=exc.errors)
        elif isinstance(exc, ProposalStateError):
            answer = _problem(409, "proposal.state", str(exc))
        elif isinstance(exc, AnswerError):
            answer = _problem(400, "answer.invalid", str(exc))
        else:
            return super().handle_exception(exc)
        return answer  # type: ignore[return-value]  # DRF passes any HttpResponse on

    def _client(self) -> AutomationClient:
        return automation_for(self.request.user, self.request.auth)

    def _planner(self) -> Planner:
        return propose.catalogue_planner()

    def _by_a_person(self) -> bool:
        """Whether somebody decides here, and no program: only people teach the planner."""
        return self.request.auth is None or getattr(self.request.auth, "kind", "") == "person"

    def _checked(self, kind: type[Any]) -> dict[str, Any]:
        body = kind(data=self.request.data)
        body.is_valid(raise_exception=True)
        checked: dict[str, Any] = body.validated_data
        return checked


def _problem(status: int, code: str, detail: str, *, errors: Any = ()) -> JsonResponse:
    body = {
        "type": f"urn:opsportal:problem:{code}",
        "title": "The proposal cannot go on",
        "status": status,
        "detail": detail,
        "code": code,
        "errors": list(errors),
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")
