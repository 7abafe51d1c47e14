"""`manage.py export_workflows DIR`: every workflow's newest version as a YAML file, for git."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from automation.workflow_folder import FolderError, export_workflows


class Command(BaseCommand):
    help = "Writes every workflow's newest version into DIR, one YAML file each, as its author wrote it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)

    def handle(self, *, folder: Path, **options: object) -> None:
        try:
            written = export_workflows(folder)
        except FolderError as error:
            raise CommandError(str(error)) from None
        for file in written:
            self.stdout.write(f"Wrote {file}")
        self.stdout.write(f"{len(written)} written; what was as it should be was left alone.")
