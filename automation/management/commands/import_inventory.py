"""`manage.py import_inventory FILE`: targets with their groups, logins and host keys."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from automation.import_inventory import ImportOptions, Report, import_rows
from automation.inventory_files.mistakes import InventoryError, Mistake
from automation.inventory_files.reading import FORMATS, read_file


class Command(BaseCommand):
    help = "Imports an inventory, all of it or nothing. Importing the same file again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", choices=FORMATS, default="json")
        parser.add_argument(
            "--trust-host-keys",
            action="store_true",
            help="You vouch that the host keys in the file are right.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")
        parser.add_argument(
            "--skip-wrong",
            action="store_true",
            help="Import the right rows although others are wrong.",
        )

    def handle(
        self,
        *,
        file: Path,
        format: str,
        trust_host_keys: bool,
        dry_run: bool,
        skip_wrong: bool = False,
        **options: object,
    ) -> None:
        wanted = ImportOptions(trust_host_keys=trust_host_keys, dry_run=dry_run, skip_wrong=skip_wrong)
        try:
            report = import_rows(read_file(file, format), wanted)
        except InventoryError as error:
            raise CommandError(
                f"Nothing was imported, {len(error.mistakes)} to correct:\n{_told(file, error.mistakes)}"
            ) from None
        for notice in report.notices:
            self.stderr.write(f"Notice: {notice}.")
        if report.mistakes:
            self.stderr.write(f"Not imported, {len(report.mistakes)} to correct:")
            self.stderr.write(_told(file, report.mistakes))
        if dry_run:
            self._preview(report)
        self.stdout.write(f"{'Would import' if dry_run else 'Imported'}: {report.summary}.")

    def _preview(self, report: Report) -> None:
        for row in report.rows:
            if row.changes:
                self.stdout.write(f"{row.kind} {row.name}: {'; '.join(row.changes)}")


def _told(file: Path, mistakes: list[Mistake]) -> str:
    return "\n".join(f"{file.name}, {mistake}" for mistake in mistakes)
