"""`manage.py --data DIR restore FILE`: a backup becomes a portal again, frozen."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from opsportal.backups.archive import BackupError
from opsportal.backups.restoring import restore
from opsportal.start_checks import require_keys


class Command(BaseCommand):
    help = (
        "Puts a backup in place. The portal then starts frozen: nothing is run, asked or submitted until "
        "`manage.py unfreeze`. No step that was under way is ever run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="Put aside the database that is there.")
        parser.add_argument(
            "--keys", type=Path, metavar="FILE", help="The keys, as `backup --keys` writes them."
        )

    def handle(self, *, file: Path, replace: bool, keys: Path | None, **options: object) -> None:
        try:
            about, settled = restore(file.absolute(), settings.DATA_DIR, replace=replace, keys=keys)
        except BackupError as error:
            raise CommandError(str(error)) from error
        require_keys()
        self.stdout.write(f"Restored as of {about.made_at}. The portal is frozen.")
        self.stdout.write(
            f"Runs that were under way and have been ended: {settled.live}; that waited and have expired: "
            f"{settled.waiting}. Targets that will be asked how their scripts ended: {settled.to_ask}."
        )
        self.stdout.write(
            "Make sure that the portal of which this is a copy is off for good. Then: manage.py unfreeze"
        )
