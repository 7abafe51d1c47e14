"""The document for programs, and the same for people to read, without any other server."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from opsportal.openapi.document import document
from opsportal.openapi.reading import methods_by_tag, shapes


class SchemaView(APIView):
    """OpenAPI 3.1 as JSON, for whoever may come in."""

    def get(self, request: Request) -> Response:
        return Response(document())


@login_required
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """All operations and shapes on one page.

    A page of our own: the usual viewers put styles into the page, which our Content-Security-Policy refuses.
    """
    made = document()
    about = {"info": made["info"], "tags": methods_by_tag(made).items(), "shapes": list(shapes(made))}
    return render(request, "openapi/docs.html", about)
