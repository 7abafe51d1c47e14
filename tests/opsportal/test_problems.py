"""Errors of the API, whatever raised them, are problem details."""

import json
import logging
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.test import Client
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from automation.api.problems import Problem


class StepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()


class BodySerializer(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=3)
    steps = StepSerializer(many=True)

    def validate(self, attrs: Any) -> Any:
        raise serializers.ValidationError("No two of these go together.", code="combination")


def answer_to(error: Exception) -> HttpResponse:
    class View(APIView):
        authentication_classes = ()
        permission_classes = (AllowAny,)

        def get(self, request: Request) -> Response:
            raise error

    response = View.as_view()(APIRequestFactory().get("/api/v1/x/"))
    assert response.headers["Content-Type"] == "application/problem+json"
    return response


def problem(response: HttpResponse) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(response.content)
    return parsed


def invalid(data: object) -> exceptions.ValidationError:
    serializer = BodySerializer(data=data)
    with pytest.raises(exceptions.ValidationError) as raised:
        serializer.is_valid(raise_exception=True)
    return raised.value


def test_a_problem_carries_status_code_detail_and_errors() -> None:
    error = Problem(
        "It is decided.", code="run.decided", status=409, errors=[{"field": "plan_hash", "line": 3}]
    )
    assert problem(answer_to(error)) == {
        "type": "urn:opsportal:problem:run.decided",
        "title": "In conflict with the present state",
        "status": 409,
        "detail": "It is decided.",
        "code": "run.decided",
        "errors": [{"field": "plan_hash", "line": 3}],
    }


def test_invalid_input_lists_every_field_by_its_path() -> None:
    parsed = problem(answer_to(invalid({"title": "long", "steps": [{"name": "a"}, {}]})))
    assert (parsed["status"], parsed["code"]) == (400, "invalid")
    assert [(part["field"], part["code"]) for part in parsed["errors"]] == [
        ("title", "max_length"),
        ("steps.1.name", "required"),
    ]
    assert "steps.1.name: This field is required." in parsed["detail"]


def test_invalid_input_as_a_whole_has_no_field() -> None:
    parsed = problem(answer_to(invalid({"title": "x", "steps": []})))
    assert parsed["errors"] == [
        {"field": "", "message": "No two of these go together.", "code": "combination"}
    ]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.ParseError(), 400, "parse_error"),
    ],
)
def test_known_exceptions_keep_their_status(error: Exception, status: int, code: str) -> None:
    response = answer_to(error)
    assert (response.status_code, problem(response)["code"]) == (status, code)


def test_throttling_says_when_to_come_back() -> None:
    assert answer_to(exceptions.Throttled(wait=7)).headers["Retry-After"] == "7"


def test_an_unforeseen_error_tells_a_reference_and_nothing_internal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = answer_to(ZeroDivisionError("canary in /srv/secret.py"))
    parsed = problem(response)
    assert (parsed["status"], parsed["code"]) == (500, "internal")
    assert "canary" not in response.content.decode()
    reference = parsed["errors"][0]["reference"]
    assert [vars(record).get("reference") for record in caplog.records] == [reference]
    assert caplog.records[0].exc_info


@pytest.mark.django_db
def test_an_unknown_address_under_api_is_a_problem_and_elsewhere_a_page(client: Client) -> None:
    assert client.get("/api/v1/nothing/").json()["code"] == "not_found"
    assert client.get("/nothing/").headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.NotAuthenticated(), "Authorization: Bearer"),
        (exceptions.MethodNotAllowed("DELETE"), "header Allow"),
        (exceptions.UnsupportedMediaType("text/plain"), "Content-Type: application/json"),
        (exceptions.NotAcceptable(), "Accept: application/json"),
    ],
)
def test_what_the_frame_refuses_is_told_with_the_next_step(error: exceptions.APIException, said: str) -> None:
    assert said in problem(answer_to(error))["detail"]
