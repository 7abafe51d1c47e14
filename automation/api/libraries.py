"""The libraries that reach targets: what each can do, in which version, with which limits of time."""

from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.views import ApiViewSet
from automation.libraries.linux_ssh import LinuxSSHLibrary
from automation.libraries.windows_powershell import WindowsPowerShellLibrary


class LibraryViews(ApiViewSet):
    """What `get_library_info` of each library tells; times are seconds."""

    http_method_names = ["get", "head"]  # noqa: RUF012  (DRF declares it so)
    scopes = {"GET": "inventory:read"}  # noqa: RUF012

    def list(self, request: Request) -> Response:
        libraries = (LinuxSSHLibrary(), WindowsPowerShellLibrary())
        return Response({"results": [library.get_library_info() for library in libraries]})
