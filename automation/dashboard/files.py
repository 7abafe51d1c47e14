"""Files that people store for steps to put on targets."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from automation.dashboard.rights import require, why_not
from automation.models import StoredFile
from automation.models.files import MAX_FILE_BYTES, FileTooLarge, file_name

PAGE_SIZE = 50


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def files(request: HttpRequest) -> HttpResponse:
    """The list, newest first; a file that is sent is stored and becomes the newest of its name."""
    require(request.user, "runs:read")
    if request.method != "POST":
        return _shown(request)
    require(request.user, "runs:submit")
    sent = request.FILES.get("file")
    if not isinstance(sent, UploadedFile):
        return _shown(request, error="Choose a file.")
    name = request.POST.get("name", "").strip() or file_name(sent.name or "")
    try:
        stored = StoredFile.objects.take_in(sent, name=name, by=request.user)
    except ValidationError as error:
        return _shown(request, error=error.messages[0])
    except FileTooLarge:
        return _shown(request, error=f"A file has at most {MAX_FILE_BYTES // 1024**2} MiB.")
    messages.success(request, f"Stored {stored.name}: runs planned from now on take this one.")
    return redirect("files")


@login_required
@require_POST
def file_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a file. Plans that name it by its hash end blocked where it would be sent."""
    require(request.user, "admin")
    file = get_object_or_404(StoredFile.objects.kept_for_steps(), pk=pk)
    file.delete()
    messages.success(request, f"Deleted {file.name}.")
    return redirect("files")


def _shown(request: HttpRequest, *, error: str = "") -> HttpResponse:
    found = StoredFile.objects.visible_to(request.user).kept_for_steps().select_related("uploaded_by")
    page = Paginator(found.order_by("-pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    names = [file.name for file in page]
    newest = StoredFile.objects.kept_for_steps().filter(name__in=names).order_by()
    context = {
        "page": page,
        "newest": {row["newest"] for row in newest.values("name").annotate(newest=Max("pk"))},
        "error": error,
        "name": request.POST.get("name", ""),
        "why_not_store": why_not(request.user, "runs:submit"),
        "why_not_delete": why_not(request.user, "admin"),
        "most": MAX_FILE_BYTES // 1024**2,
    }
    return render(request, "automation/files.html", context, status=422 if error else 200)
