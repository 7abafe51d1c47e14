"""`manage.py export_inventory`: the inventory for another portal or another tool, on stdout."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from automation.definitions.errors import QueryError
from automation.definitions.query import parse
from automation.inventory_files.fleet import fleet_of
from automation.inventory_files.writing import EXPORT_FORMATS, WRITERS
from automation.models import Target


class Command(BaseCommand):
    help = "Writes the inventory, or the targets that a query names, without any secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=EXPORT_FORMATS, default="json")
        parser.add_argument("--query", "-q", default="", help="A target query; all targets without one.")

    def handle(self, *, format: str, query: str, **options: object) -> None:
        try:
            wanted = parse(query) if query else None
        except QueryError as error:
            raise CommandError(f"The query cannot be read: {error}\n{error.caret}") from None
        write, _, _ = WRITERS[format]
        self.stdout.write(write(fleet_of(Target.objects.with_plan_parts(), wanted)), ending="")
