"""`manage.py backup FILE`: the whole database, while the portal works."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from opsportal.backups.archive import BackupError
from opsportal.backups.making import make_backup, write_keys


class Command(BaseCommand):
    help = "Writes a consistent backup of the database, while the portal works. The keys are not in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--keys", type=Path, metavar="FILE", help="Write the keys, too, into this other file."
        )

    def handle(self, *, file: Path, keys: Path | None, **options: object) -> None:
        try:
            about = make_backup(file.absolute())
            if keys is not None:
                write_keys(keys.absolute())
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{file}: {about.size} bytes of database, as of {about.made_at}, SHA-256 {about.sha256}."
        )
        if keys is None:
            self.stderr.write(
                "THE KEYS ARE NOT IN THIS BACKUP. Without them nobody can read the credentials in it: keep a "
                "copy of DIR/.env (or backup --keys FILE) in another place. The keys it needs: "
                f"{', '.join(about.keys)}."
            )
        else:
            self.stderr.write(
                f"{keys} holds the keys. KEEP IT APART FROM THE BACKUP: who has both has every credential."
            )
