"""`manage.py release_lock TARGET`: after a look at a target whose state nobody knew."""

from argparse import ArgumentParser
from getpass import getuser

from django.core.management.base import BaseCommand, CommandError

from automation.models import Target
from automation.release_lock import StillBusy, release_lock


class Command(BaseCommand):
    help = "Frees the lock that a run left on a target whose last state is unknown. Look at the target first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target")
        parser.add_argument("--reason", default="", help="What you found; told in the run's story.")

    def handle(self, *, target: str, reason: str, **options: object) -> None:
        row = Target.objects.filter(name__iexact=target).first()
        if row is None:
            raise CommandError(f"There is no target {target!r}.")
        try:
            runs = release_lock(row, by=f"{getuser()} (command line)", reason=reason)
        except StillBusy as busy:
            raise CommandError(str(busy)) from None
        for run in runs:
            self.stdout.write(f"{row.name}: freed from {run}, submitted by {run.submitted_by}, {run.status}.")
        if not runs:
            self.stdout.write(f"{row.name}: no run holds a lock on it.")
