"""Import and export of the inventory."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.inventory import SCOPES
from automation.api.permissions import has, require_person
from automation.api.problems import Problem
from automation.api.strict import Choice, Flag, Strict, Text
from automation.api.target_filters import FILTERS, query_of
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.import_inventory import ImportOptions, Report, import_rows
from automation.inventory_files.fleet import fleet_of
from automation.inventory_files.mistakes import InventoryError
from automation.inventory_files.reading import FORMATS, read_inventory
from automation.inventory_files.writing import EXPORT_FORMATS, WRITERS
from automation.models import Target

ROWS_TOLD = 1000


class NewImport(Strict):
    """The body of an import; `content` is the text of the file."""

    format = Choice(choices=FORMATS)
    content = Text(max_length=2 * 1024 * 1024, trim_whitespace=False)
    dry_run = Flag(default=False)
    trust_host_keys = Flag(default=False)
    skip_wrong = Flag(default=False)


class InventoryFileViews(ApiViewSet):
    """The inventory as a file."""

    http_method_names = READ_AND_POST
    scopes = SCOPES

    @action(detail=False, methods=["post"], url_path="import")
    def take_in(self, request: Request) -> Response:
        """Import a file, all of it or nothing; `dry_run` only tells what would become of each row."""
        body = NewImport(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if given["trust_host_keys"]:
            require_person(request, "vouch for the identity of machines")
        options = ImportOptions(
            trust_host_keys=given["trust_host_keys"],
            dry_run=given["dry_run"],
            skip_wrong=given["skip_wrong"],
            may_use_credentials=has(request, "credentials:write"),
        )
        try:
            report = import_rows(read_inventory(given["content"].encode(), given["format"]), options)
        except InventoryError as error:
            count = len(error.mistakes)
            raise Problem(
                f"Nothing was imported: {count} thing{'s' if count != 1 else ''} to correct in the file.",
                code="inventory.invalid",
                errors=[each.as_dict() for each in error.mistakes[:ROWS_TOLD]],
            ) from None
        return Response(report_answer(report, dry_run=options.dry_run))

    @action(detail=False, query_keys=("format", "q", *FILTERS), url_path="export")
    def give_out(self, request: Request) -> HttpResponse:
        """`?format=` says for whom; `?q=` and the filters of the list choose targets."""
        wanted = self.chosen("format", EXPORT_FORMATS) or "json"
        write, content_type, name = WRITERS[wanted]
        targets = self.visible(Target.objects.with_plan_parts())
        answer = HttpResponse(write(fleet_of(targets, query_of(request))), content_type=content_type)
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer


def report_answer(report: Report, *, dry_run: bool) -> dict[str, Any]:
    """What an import did, or would do; of very many rows the first are told."""
    return {
        "dry_run": dry_run,
        "done": dict(sorted(report.done.items())),
        "rows": [row.as_dict() for row in report.rows[:ROWS_TOLD]],
        "rows_total": len(report.rows),
        "notices": report.notices,
        "skipped": [each.as_dict() for each in report.mistakes[:ROWS_TOLD]],
    }
