"""`manage.py import_inventory FILE`: targets with their groups, logins and host keys."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from automation.import_inventory import import_rows
from automation.inventory_file import InventoryError, read_inventory


class Command(BaseCommand):
    help = "Imports an inventory, all of it or nothing. Importing the same file again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", choices=["json", "csv", "ansible"], default="json")
        parser.add_argument(
            "--trust-host-keys",
            action="store_true",
            help="You vouch that the host keys in the file are right.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")

    def handle(
        self, *, file: Path, format: str, trust_host_keys: bool, dry_run: bool, **options: object
    ) -> None:
        if format != "json":
            raise CommandError(f"The format {format} cannot be read yet. Convert the file to JSON.")
        try:
            rows, notices = read_inventory(file)
            report = import_rows(rows, trust_host_keys=trust_host_keys, dry_run=dry_run)
        except InventoryError as error:
            count = len(error.errors)
            raise CommandError(f"Nothing was imported, {count} to correct:\n{error}") from None
        for notice in (*notices, *report.notices):
            self.stderr.write(f"Notice: {notice}.")
        what = ", ".join(f"{count} {name}" for name, count in sorted(report.done.items())) or "no rows"
        self.stdout.write(f"{'Would import' if dry_run else 'Imported'}: {what}.")
