"""The portal's addresses, with a stand-in for the page of a run where none is there yet."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from opsportal.urls import handler400, handler403, handler404, handler500
from opsportal.urls import urlpatterns as portal

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def run(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(f"run {pk}")


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("as told")


urlpatterns = [*portal, path("runs/<int:pk>/", run, name="run"), path("broken/", broken)]
