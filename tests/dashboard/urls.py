"""The portal's addresses, and one where it makes a mistake."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from opsportal.urls import handler400, handler403, handler404, handler500
from opsportal.urls import urlpatterns as portal

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("as told")


urlpatterns = [*portal, path("broken/", broken)]
