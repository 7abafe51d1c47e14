"""Runs: submission, reading, following, deciding."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation import decide, pausing
from automation.api.authentication import principal, token_of
from automation.api.event_stream import stream_answer, wants_stream
from automation.api.idempotency import once
from automation.api.pages import PAGE
from automation.api.permissions import require_person
from automation.api.problems import Problem
from automation.api.run_answers import (
    counts_of,
    last_attempts,
    leaf_answer,
    result_answer,
    run_detail,
    run_submitted,
    run_summary,
)
from automation.api.run_events import events_answer
from automation.api.run_output import output_answer
from automation.api.run_requests import Decision, Reason, command_submission, rerun_submission, submission
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.forecast import forecast_targets
from automation.models import JobRun, ResultState, RunStatus, RunTarget
from automation.submit import Prepared, prepare, write

SCOPES = {"GET": "runs:read", "POST": "runs:submit"}
FOLLOWING = ("after", "limit", "wait")
WHOSE_OUTPUT = ("target", "step", "body", "attempt", "stream", "offset", "limit")


def _written(prepared: Prepared) -> dict[str, Any]:
    return run_submitted(write(prepared))


class RunViews(ApiViewSet):
    """Runs, newest first; `?status=`, `?workflow=`, `?target=` and `?submitted_by=` (names) choose."""

    http_method_names = READ_AND_POST
    scopes = SCOPES
    list_keys = ("status", "workflow", "target", "submitted_by")
    page_order = ("-pk",)

    def get_queryset(self) -> Any:
        runs = self.visible(JobRun.objects.select_related("submitted_by", "workflow_version"))
        if self.action == "list":
            if wanted := self.chosen("status", RunStatus.values):
                runs = runs.filter(status=wanted)
            if name := self.request.query_params.get("workflow"):
                runs = runs.filter(workflow_name=name)
            if name := self.request.query_params.get("target"):
                runs = runs.filter(pk__in=RunTarget.objects.filter(name=name).values("run"))
            if name := self.request.query_params.get("submitted_by"):
                runs = runs.filter(submitted_by__username=name)
        return runs

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset()) or []
        counts = counts_of([run.pk for run in page])
        return self.get_paginated_response([run_summary(run, counts[run.pk]) for run in page])

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(run_detail(self.get_object(), request))

    def create(self, request: Request) -> Response:
        return once(request, prepare=lambda: prepare(submission(request)), work=_written)

    @action(detail=False, methods=["post"])
    def command(self, request: Request) -> Response:
        """A command for the targets of a query, as the run that it is: planned, decided on, told."""
        return once(request, prepare=lambda: prepare(command_submission(request)), work=_written)

    @action(detail=True, methods=["post"])
    def rerun(self, request: Request, pk: str) -> Response:
        """What the run did once more, everywhere or where it is not good: planned and decided anew."""
        earlier = self.get_object()
        return once(
            request,
            prepare=lambda: prepare(rerun_submission(request, earlier)),
            work=_written,
            about=f"rerun {earlier.pk}",
        )

    @action(detail=True, query_keys=PAGE, page_order=("position",))
    def plan(self, request: Request, pk: str) -> Response:
        """Every target as the plan froze it, in order."""
        return self.paged(self.get_object().targets.order_by("position"), leaf_answer)

    @action(detail=True, query_keys=PAGE, page_order=("position",))
    def forecast(self, request: Request, pk: str) -> Response:
        """What a dry run found on each target, in order: steps by what they would do."""
        run = self.get_object()
        if not run.dry_run:
            raise Problem("Only a dry run has a forecast: submit one with dry_run.", code="run.not_dry")
        page = self.paginate_queryset(run.targets.order_by("position")) or []
        return self.get_paginated_response(forecast_targets(page))

    @action(detail=True, query_keys=("state", *PAGE), page_order=("pk",))
    def results(self, request: Request, pk: str) -> Response:
        """Every step of every target; `?state=` chooses."""
        rows = self.get_object().results.select_related("run_target")
        if wanted := self.chosen("state", ResultState.values):
            rows = rows.filter(state=wanted)
        page = self.paginate_queryset(rows) or []
        attempts = last_attempts(page)
        return self.get_paginated_response([result_answer(row, attempts.get(row.pk)) for row in page])

    @action(detail=True, query_keys=FOLLOWING)
    def events(self, request: Request, pk: str) -> HttpResponseBase:
        if wants_stream(request):
            return stream_answer(request, self.get_object())
        return Response(events_answer(request, self.get_object()))

    @action(detail=True, query_keys=WHOSE_OUTPUT)
    def output(self, request: Request, pk: str) -> HttpResponse:
        return output_answer(request, self.get_object())

    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str) -> Response:
        given = self._given(Decision)
        return self._answer(
            decide.start(self._pk(), by=principal(self.request), plan_hash=given["plan_hash"])
        )

    @action(detail=True, methods=["post"], scopes={"POST": "runs:approve"})
    def approve(self, request: Request, pk: str) -> Response:
        return self._decided(decide.approve)

    @action(detail=True, methods=["post"], scopes={"POST": "runs:approve"})
    def reject(self, request: Request, pk: str) -> Response:
        return self._decided(decide.reject)

    @action(detail=True, methods=["post"], scopes={"POST": "runs:control"})
    def cancel(self, request: Request, pk: str) -> Response:
        given = self._given(Reason)
        return self._answer(
            decide.cancel(self._pk(), by=principal(self.request), reason=given.get("reason", ""))
        )

    @action(detail=True, methods=["post"], scopes={"POST": "runs:control"})
    def pause(self, request: Request, pk: str) -> Response:
        given = self._given(Reason)
        return self._answer(
            pausing.pause(self._pk(), by=principal(self.request), reason=given.get("reason", ""))
        )

    @action(detail=True, methods=["post"], scopes={"POST": "runs:control"})
    def resume(self, request: Request, pk: str) -> Response:
        # A pause for failures waits for somebody who has looked at them.
        require_person(request, "resume a run")
        given = self._given(Reason)
        return self._answer(
            pausing.resume(self._pk(), by=principal(self.request), reason=given.get("reason", ""))
        )

    def _decided(self, verb: Any) -> Response:
        given = self._given(Decision)
        run = verb(
            self._pk(),
            by=principal(self.request),
            token=token_of(self.request),
            plan_hash=given["plan_hash"],
            reason=given.get("reason", ""),
        )
        return self._answer(run)

    def _given(self, form: type[Decision] | type[Reason]) -> dict[str, Any]:
        body = form(data=self.request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def _pk(self) -> int:
        """The id of the run, if the asking person may know of it."""
        return int(self.get_object().pk)

    def _answer(self, run: JobRun) -> Response:
        return Response(run_detail(run, self.request), status=status.HTTP_200_OK)
