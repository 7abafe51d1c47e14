"""Importing the inventory from a file, with a preview, and writing it to one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from automation.choose import FILTERS, filtered
from automation.dashboard.rights import require, why_not
from automation.definitions.errors import QueryError
from automation.definitions.query import parse
from automation.import_inventory import ImportOptions, import_rows
from automation.inventory_files.fleet import fleet_of
from automation.inventory_files.mistakes import InventoryError, Mistake
from automation.inventory_files.reading import FORMATS, read_inventory
from automation.inventory_files.writing import WRITERS
from automation.models import InventoryUpload, Target
from automation.models.access import may
from credentials.sealed import DecryptionError

MAX_UPLOAD = 2 * 1024 * 1024
SHOWN = 500
ENDINGS = {"json": "json", "csv": "csv", "ini": "ansible", "yaml": "ansible", "yml": "ansible"}
AGAIN = "The file is not kept any more: choose it again."


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def inventory_import(request: HttpRequest) -> HttpResponse:
    """The form; sent, it shows what would become of each row, and imports nothing yet."""
    if request.method != "POST":
        return _form(request)
    require(request.user, "inventory:write")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        return _form(request, error="Choose a file.")
    if (file.size or 0) > MAX_UPLOAD:
        return _form(request, error="The file is larger than 2 MiB. Split it, or use the command.")
    name = (file.name or "file")[:200]
    file_format = request.POST.get("format") or ENDINGS.get(name.rpartition(".")[2].lower(), "")
    if file_format not in FORMATS:
        return _form(request, error="What the file holds cannot be told from its name: choose the format.")
    raw = file.read()
    options = _options(request.user, request.POST.get("trust"), request.POST.get("skip"), dry_run=True)
    try:
        report = import_rows(read_inventory(raw, file_format), options)
    except InventoryError as error:
        return _form(request, mistakes=error.mistakes, name=name)
    upload = InventoryUpload.objects.keep(
        user=request.user,
        content=raw.decode("utf-8-sig"),
        name=name,
        file_format=file_format,
        trust_host_keys=options.trust_host_keys,
        skip_wrong=options.skip_wrong,
    )
    context = {
        "upload": upload,
        "report": report,
        "rows": [row for row in report.rows if row.done != "unchanged"][:SHOWN],
        "unchanged": sum(row.done == "unchanged" for row in report.rows),
        "mistakes": report.mistakes[:SHOWN],
        "shown": SHOWN,
    }
    return render(request, "automation/inventory_preview.html", context)


@login_required
@require_POST
def inventory_import_confirm(request: HttpRequest, uuid: str) -> HttpResponse:
    """Import the file that was looked at."""
    require(request.user, "inventory:write")
    upload = InventoryUpload.objects.waiting_for(request.user).filter(uuid=uuid).first()
    if upload is None:
        return _form(request, error=AGAIN)
    options = _options(request.user, upload.trust_host_keys, upload.skip_wrong, dry_run=False)
    try:
        raw = upload.content().reveal().encode()
        report = import_rows(read_inventory(raw, upload.file_format), options)
    except DecryptionError:
        return _form(request, error=AGAIN)
    except InventoryError as error:
        # Somebody changed the inventory since the preview.
        return _form(request, mistakes=error.mistakes, name=upload.name)
    upload.delete()
    messages.success(request, f"Imported {upload.name}: {report.summary}.")
    return redirect("targets")


@login_required
@require_GET
def inventory_export(request: HttpRequest) -> HttpResponse:
    """The file for another portal or tool, of what the list's query and filters name."""
    require(request.user, "inventory:read")
    wanted = request.GET.get("format", "json")
    write, content_type, name = WRITERS.get(wanted, WRITERS["json"])
    text = request.GET.get("q", "").strip()
    try:
        filters = {key: request.GET[key] for key in FILTERS if request.GET.get(key)}
        query = filtered(parse(text) if text else None, filters)
    except QueryError as error:
        messages.error(request, f"Nothing was written: {error.sentence}")
        return redirect("targets")
    targets = Target.objects.visible_to(request.user).with_plan_parts()
    answer = HttpResponse(write(fleet_of(targets, query)), content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _options(user: Any, trust: object, skip: object, *, dry_run: bool) -> ImportOptions:
    return ImportOptions(
        trust_host_keys=bool(trust),
        skip_wrong=bool(skip),
        dry_run=dry_run,
        may_use_credentials=may(user, "credentials:write"),
    )


def _form(
    request: HttpRequest, *, error: str = "", mistakes: list[Mistake] | None = None, name: str = ""
) -> HttpResponse:
    context = {
        "error": error,
        "mistakes": (mistakes or [])[:SHOWN],
        "mistakes_total": len(mistakes or []),
        "name": name,
        "formats": FORMATS,
        "sent": request.POST,
        "why_not_import": why_not(request.user, "inventory:write"),
    }
    status = 422 if error or mistakes else 200
    return render(request, "automation/inventory_import.html", context, status=status)
