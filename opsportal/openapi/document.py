"""The OpenAPI document: one operation after the other, then what they have in common."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema

from opsportal.openapi.answers import ANSWERS_BY_NAME, CORRECTED, SOMETIMES
from opsportal.openapi.operation import Operation
from opsportal.openapi.operations import OPERATIONS
from opsportal.openapi.places import given_headers, in_headers, in_path, in_query, query_names
from opsportal.openapi.shapes import Shape, page_of, reference

USUAL_PROBLEMS = (400, 401, 403, 429, 503)
ABOUT = """\
Errors are problem details (RFC 9457) with a stable `code`. Lists come in pages, by cursor. Unknown query
parameters and keys are refused. The roles beside a scheme of access are the scopes that the operation needs.
"""
ACCESS = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made in the administration or at `/api/v1/tokens/`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "A person's browser; unsafe methods also need the CSRF token.",
    },
}


class PortalSchema(AutoSchema):
    """One operation, as OPERATIONS has it; the serializers become components."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any
    ) -> Shape | None:
        """None for views that belong to no route of the API itself."""
        self.registry, self.path, self.method = registry, path, method.upper()
        view: Any = self.view
        if not hasattr(view, "basename"):
            return None
        key = f"{view.basename}.{view.action}"
        operation = OPERATIONS[key]
        described: Shape = {
            "operationId": key.replace(".", "_").replace("-", "_"),
            "summary": operation.says,
            "tags": [view.basename],
            "parameters": [
                *in_path(path, view.lookup_value_regex),
                *in_query(key, query_names(view, key), operation.query),
                *in_headers(operation.request_headers),
            ],
            "security": [{scheme: list(operation.scopes) or [view.scopes[self.method]]} for scheme in ACCESS],
            "responses": self._answers(operation),
        }
        if text := (getattr(view, view.action).__doc__ or type(view).__doc__):
            described["description"] = text
        if body := self._body(operation):
            described["requestBody"] = body
        return described

    def _body(self, operation: Operation) -> Shape | None:
        if operation.body is not None:
            form = operation.body(partial=self.method == "PATCH")
            content: Shape = {"schema": self.resolve_serializer(form, "request").ref}
        elif operation.body_media == "application/octet-stream":
            content = {}
        else:
            return None
        return {"required": True, "content": {operation.body_media: content}}

    def _answers(self, operation: Operation) -> Shape:
        found: Shape = {}
        for status in operation.statuses:
            found[str(status)] = {"description": HTTPStatus(status).phrase}
            if status not in (204, 304):
                found[str(status)]["content"] = self._forms(operation)
            if operation.answer_headers:
                found[str(status)]["headers"] = given_headers(operation.answer_headers)
        problems = {*USUAL_PROBLEMS, *operation.problems}
        if "{" in self.path:
            problems.add(404)
        if self.method in ("POST", "PATCH"):
            problems |= {413, 415}
        return found | {
            str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(problems)
        }

    def _forms(self, operation: Operation) -> Shape:
        answer = operation.answer
        forms = dict(operation.media)
        if answer is not None:
            shape = answer if isinstance(answer, dict) else self._component(answer)
            forms = {"application/json": page_of(shape) if operation.paged else shape, **forms}
        return {kind: {"schema": shape} for kind, shape in forms.items()}

    def _component(self, form: Any) -> Shape:
        ref: Shape = self.resolve_serializer(form(), "response").ref
        return ref


class Generator(SchemaGenerator):
    """Walks the routes and gives every view of the API a PortalSchema."""

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        view = super().create_view(callback, method, request)  # type: ignore[no-untyped-call]
        self._set_schema_to_view(view, PortalSchema())  # type: ignore[no-untyped-call]
        return view


@cache
def document() -> Shape:
    """The whole document. Made once a process: routes and serializers do not change while it lives."""
    generator = Generator()  # type: ignore[no-untyped-call]
    made: Shape = _without_marks(generator.get_schema(public=True))  # type: ignore[no-untyped-call]
    schemas = made["components"]["schemas"]
    for name in CORRECTED.keys() & schemas.keys():
        fields = CORRECTED[name]
        schemas[name]["properties"] |= fields
        schemas[name]["required"] = sorted({*schemas[name]["required"], *fields} - SOMETIMES)
    problems = sorted({*USUAL_PROBLEMS, 404, 406, 409, 412, 413, 415})
    return made | {
        "info": {"title": "OpsPortal API", "version": "1", "description": ABOUT},
        "components": {
            "schemas": dict(sorted((schemas | ANSWERS_BY_NAME).items())),
            "responses": {f"Problem{status}": _problem(status) for status in problems},
            "securitySchemes": ACCESS,
        },
    }


def _without_marks(value: Any) -> Any:
    """Without the keys that drf-spectacular leaves for hooks of its own."""
    if isinstance(value, dict):
        return {key: _without_marks(each) for key, each in value.items() if key != "x-spec-enum-id"}
    return [_without_marks(each) for each in value] if isinstance(value, list | tuple) else value


def _problem(status: int) -> Shape:
    answer: Shape = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": reference("Problem")}},
    }
    if status == 429:
        answer["headers"] = given_headers(["Retry-After"])
    return answer
