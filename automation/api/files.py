"""Files for steps that put them on targets: sent as they are, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.http import StreamingHttpResponse
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import principal
from automation.api.pages import whole_number
from automation.api.permissions import require_person
from automation.api.problems import Problem
from automation.api.views import ApiViewSet
from automation.models import StoredFile
from automation.models.files import MAX_FILE_BYTES, FileTooLarge

ABOUT = ("uploaded_by", "attempt__result__run_target")
SCOPES = {"GET": "runs:read", "POST": "runs:submit", "DELETE": "admin"}


class AsItComes(BaseParser):
    """Any bytes; whoever reads them reads them in pieces."""

    media_type = "application/octet-stream"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return stream


class FileViews(ApiViewSet):
    """`POST ?name=` with the bytes as body makes a file; of several with one name runs take the newest.

    `?name=` and `?run=` choose; the files of a run are those that its steps downloaded.
    """

    http_method_names = ["get", "head", "post", "delete"]  # noqa: RUF012  (DRF declares it so)
    parser_classes = (AsItComes,)
    scopes = SCOPES
    list_keys = ("name", "run")
    page_order = ("-pk",)

    def get_queryset(self) -> Any:
        files = self.visible(StoredFile.objects.select_related(*ABOUT))
        if self.action == "list":
            if name := self.request.query_params.get("name"):
                files = files.filter(name=name)
            if run := whole_number(self.request, "run", default=0, at_least=1, at_most=2**63 - 1):
                files = files.filter(attempt__result__run=run)
        return files

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.query_keys = ("name",) if self.action == "create" else ()
        super().initial(request, *args, **kwargs)

    def list(self, request: Request) -> Response:
        return self.paged(self.get_queryset(), file_answer)

    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(file_answer(self.get_object()))

    def create(self, request: Request) -> Response:
        # As with workflows: what an AI wants on a target stands in its run, for people to read.
        require_person(request, "store a file")
        name = request.query_params.get("name", "")
        # An empty body reaches no parser.
        source: Any = request.data if hasattr(request.data, "read") else BytesIO()
        try:
            file = StoredFile.objects.take_in(source, name=name, by=principal(request))
        except ValidationError as error:
            message = error.messages[0]
            raise Problem(message, code="file.name", errors=[{"field": "name", "message": message}]) from None
        except FileTooLarge:
            raise Problem(
                f"A file has at most {MAX_FILE_BYTES} bytes; nothing was stored.",
                code="file.too_large",
                status=413,
            ) from None
        return Response(file_answer(file), status=201)

    def destroy(self, request: Request, pk: str) -> Response:
        self.get_object().delete()
        return Response(status=204)

    @action(detail=True)
    def content(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The bytes."""
        file = self.get_object()
        headers = {
            "Content-Length": str(file.size),
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingHttpResponse(file.content(), "application/octet-stream", headers=headers)


def file_answer(file: StoredFile) -> dict[str, Any]:
    result = file.attempt.result if file.attempt else None
    return {
        "id": file.pk,
        "run": result.run_id if result else None,
        "target": result.run_target.name if result else None,
        "step": result.step if result else None,
        "name": file.name,
        "size": file.size,
        "sha256": file.sha256,
        "uploaded_by": file.uploaded_by.get_username() if file.uploaded_by else None,
        "created_at": file.created_at,
        "links": {"content": f"/api/v1/files/{file.pk}/content/"},
    }
