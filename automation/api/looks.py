"""Looks at targets: tests, scans of host keys, facts; of one target or of many."""

from __future__ import annotations

from typing import Any

from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import principal
from automation.api.pages import PAGE
from automation.api.problems import Problem
from automation.api.strict import Choice, Strict, Text
from automation.api.views import ApiViewSet
from automation.ask_test import TooMany, ask_test, ask_tests
from automation.choose import matching
from automation.definitions.query import parse
from automation.models import Target, TargetTest

ASKING = {"POST": "runs:submit"}
KINDS = tuple(TargetTest.Kind.values)


class ManyAsked(Strict):
    """Which targets to look at, and how."""

    targets = Text(max_length=4000)
    kind = Choice(choices=KINDS, default=str(TargetTest.Kind.TEST))


class LookActions(ApiViewSet):
    """What a worker finds out about targets."""

    @action(detail=True, methods=["post"], scopes=ASKING)
    def test(self, request: Request, pk: str) -> Response:
        """Have a worker test the target; `tests` tells the result."""
        return self._asked(request, TargetTest.Kind.TEST)

    @action(detail=True, methods=["post"], scopes=ASKING)
    def scan(self, request: Request, pk: str) -> Response:
        """Have a worker ask for the target's host keys, without logging in; they come as `pending`."""
        return self._asked(request, TargetTest.Kind.SCAN)

    @action(detail=True, methods=["post"], scopes=ASKING)
    def facts(self, request: Request, pk: str) -> Response:
        """Have a worker ask the target what it is; the target's `facts` tell the result."""
        return self._asked(request, TargetTest.Kind.FACTS)

    @action(detail=False, methods=["post"], scopes=ASKING, url_path="looks")
    def looks(self, request: Request) -> Response:
        """`{"targets": query, "kind": "test" | "scan" | "facts"}`: the same for many, a few at a time."""
        given = ManyAsked(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        visible = list(self.visible(Target.objects.usable().with_plan_parts()))
        chosen = matching(parse(asked["targets"]), visible)
        if not chosen:
            raise Problem("No enabled target matches this query.", code="targets.none", status=400)
        try:
            tests = ask_tests(chosen, by=principal(request), kind=asked["kind"])
        except TooMany as error:
            raise Problem(str(error), code="targets.too_many", status=400) from None
        answer = {"asked": len(tests), "tests": [test.pk for test in tests]}
        return Response(answer, status=status.HTTP_202_ACCEPTED)

    @action(detail=True, query_keys=(*PAGE, "kind"), page_order=("-pk",))
    def tests(self, request: Request, pk: str) -> Response:
        """The looks at the target, newest first; `?kind=` chooses."""
        tests = self.get_object().tests.select_related("asked_by")
        if kind := self.chosen("kind", KINDS):
            tests = tests.of_kind(kind)
        return self.paged(tests, test_answer)

    def _asked(self, request: Request, kind: str) -> Response:
        test = ask_test(self.get_object(), by=principal(request), kind=kind)
        return Response(test_answer(test), status=status.HTTP_202_ACCEPTED)


def test_answer(test: TargetTest) -> dict[str, Any]:
    """How a look is told; `host_key` is the fingerprint of the key that the target showed."""
    return {
        "id": test.pk,
        "target": test.target_id,
        "kind": test.kind,
        "state": test.state,
        "success": test.success,
        "code": test.code,
        "cause": test.cause,
        "next_step": test.next_step,
        "phases": test.phases,
        "host_key": test.host_key,
        "seconds": test.seconds,
        "scheduled": test.scheduled,
        "asked_by": test.asked_by.get_username() if test.asked_by else None,
        "created_at": test.created_at,
        "finished_at": test.finished_at,
    }
