"""`manage.py import_workflows DIR`: a version of each workflow whose file differs from its newest one."""

from argparse import ArgumentParser
from pathlib import Path

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from automation.workflow_folder import FolderError, import_workflows


class Command(BaseCommand):
    help = "Publishes the workflows in DIR, all or none. Importing the same folder again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--author", metavar="USER", help="Who is named as the versions' author.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and do nothing.")

    def handle(self, *, folder: Path, author: str | None, dry_run: bool, **options: object) -> None:
        person = User.objects.filter(username=author).first() if author else None
        if author and person is None:
            raise CommandError(f"There is no user {author!r}.")
        try:
            report = import_workflows(folder, author=person, dry_run=dry_run)
        except FolderError as error:
            raise CommandError(f"Nothing was imported:\n{error}") from None
        for what, names in (("new", report.new), ("changed", report.changed)):
            for name in names:
                self.stdout.write(f"{name}: {what}")
        verb = "Would publish" if dry_run else "Published"
        count = len(report.new) + len(report.changed)
        self.stdout.write(f"{verb} {count}, {len(report.unchanged)} unchanged.")
