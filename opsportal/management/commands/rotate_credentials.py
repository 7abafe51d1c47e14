"""`manage.py rotate_credentials`: bring every stored secret under the first encryption key, at work."""

import fcntl
import os
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from credentials.canary import named
from credentials.keys import MAKE_ONE, KeysUnusable, cipher, configured_keys, key_name
from credentials.rotation import KeyUse, key_use, rotate_keys
from opsportal.encryption_keys import NAME, key_file

BETWEEN_WORDS_SECONDS = 1.0
BY_HAND = (
    f"{MAKE_ONE}, add it as the last of {NAME} wherever OpsPortal runs and restart there; then put it "
    "first and restart; then run this command without --new-key."
)


class Command(BaseCommand):
    help = (
        "Re-encrypts every stored secret with the first key of OPSPORTAL_ENCRYPTION_KEYS, row by row, while "
        "the portal works. May be interrupted at any moment: run it again. Then tells which keys may go."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--new-key", action="store_true", help="First make a new key and put it before the others."
        )
        parser.add_argument(
            "--check", action="store_true", help="Change nothing; tell which key encrypts how much."
        )

    def handle(self, *, new_key: bool, check: bool, **options: object) -> None:
        if check and new_key:
            raise CommandError("--check changes nothing, --new-key does: leave out one of them.")
        try:
            cipher()
            if check:
                self._tell(key_use())
                return
            with _only_one(settings.DATA_DIR / "rotate.lock"):
                if new_key:
                    self._add_key()
                rotation = rotate_keys(self._progress())
                self.stdout.write(f"Written anew: {rotation.rotated}.")
                self._tell(key_use())
        except KeysUnusable as error:
            raise CommandError(str(error)) from error

    def _add_key(self) -> None:
        file = key_file(os.environ, settings.DATA_DIR)
        if file is None:
            raise CommandError(
                f"{NAME} comes from the environment, which nobody but you can change. {BY_HAND}"
            )
        if connection.vendor != "sqlite":
            raise CommandError(
                f"Other machines may share this database, and their keys are not within reach. {BY_HAND}"
            )
        key = Fernet.generate_key().decode()
        try:
            file.write([key, *configured_keys()])
        except OSError as error:
            raise CommandError(
                f"{file.path} cannot be written: {error.strerror}. Nothing has changed. {BY_HAND}"
            ) from None
        self.stdout.write(f"New key {key_name(key)} is the first in {file.path}. Back that file up now.")

    def _progress(self) -> "_Progress":
        return _Progress(self)

    def _tell(self, use: KeyUse) -> None:
        """Which key is needed for what. Raises CommandError where no key reads a secret."""
        for number, (key, count) in enumerate(zip(configured_keys(), use.counts, strict=True), start=1):
            self.stdout.write(f"Key {number} ({key_name(key)}) encrypts {count} stored secret(s).")
        if use.unreadable:
            raise CommandError(
                f"No configured key reads {len(use.unreadable)} stored secret(s): {named(use.unreadable)}. "
                f"Add the key they were written with to the end of {NAME} and run this again, or enter them "
                "anew. Until then take no key away."
            )
        if use.outdated:
            self.stdout.write("Run rotate_credentials before you take any key away.")
        elif use.spare:
            keys = ", ".join(key_name(key) for key in configured_keys()[1:])
            self.stdout.write(
                f"The older keys may go ({keys}): take them out of {NAME}. Keep them somewhere safe as long "
                "as you keep backups of the database made before now: only they read those."
            )


class _Progress:
    """Says how far it is, at most once a second."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._said_at = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said_at >= BETWEEN_WORDS_SECONDS:
            self._said_at = now
            self._command.stdout.write(f"{done} of {total} …")
            self._command.stdout.flush()


@contextmanager
def _only_one(file: Path) -> Iterator[None]:
    """Two rotations at once would both add keys."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise CommandError("Another rotation is at work on this data directory: let it finish.") from None
    finally:
        os.close(descriptor)
