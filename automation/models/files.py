"""Files kept in the portal, for steps that put them on targets."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from automation.definitions.step_kinds import FILE_NAME_PATTERN
from automation.models.access import may

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from automation.models.results import Attempt
    from automation.models.runs import JobRun

MAX_FILE_BYTES = 64 * 1024 * 1024
PIECE = 1024 * 1024
IN_MEMORY = 1024 * 1024


class FileTooLarge(Exception):
    """More bytes came than a file may have."""


class StoredFileQuerySet(models.QuerySet["StoredFile"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> StoredFileQuerySet:
        return self if may(user, "runs:read") else self.none()

    def kept_for_steps(self) -> StoredFileQuerySet:
        """Those that people stored, without what steps downloaded."""
        return self.filter(attempt__isnull=True)

    def of_run(self, run: JobRun) -> StoredFileQuerySet:
        """What the run's steps downloaded, by target and step."""
        files = self.filter(attempt__result__run=run).select_related("attempt__result__run_target")
        return files.order_by("attempt__result__run_target__position", "attempt__result__step_index", "pk")

    def named(self, name: str) -> StoredFile | None:
        """The newest file of this name that a person stored."""
        return self.kept_for_steps().filter(name=name).order_by("-pk").first()

    def take_in(
        self, source: IO[bytes], *, name: str, by: Any = None, attempt: Attempt | None = None
    ) -> StoredFile:
        """A new file with all that `source` gives, in bounded memory. Nothing is kept of one that fails.

        Raises ValidationError for a name that cannot be one, and FileTooLarge.
        """
        if not re.fullmatch(FILE_NAME_PATTERN, name):
            raise ValidationError("A file's name has letters, digits, '.', '_' and '-', at most 100.")
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as kept:
            digest, size = hashlib.sha256(), 0
            while piece := source.read(PIECE):
                size += len(piece)
                if size > MAX_FILE_BYTES:
                    raise FileTooLarge
                digest.update(piece)
                kept.write(piece)
            kept.seek(0)
            # The database is written only now: a slow client must not hold its lock.
            with transaction.atomic():
                file = self.create(
                    name=name, size=size, sha256=digest.hexdigest(), uploaded_by=by, attempt=attempt
                )
                for offset in range(0, size, PIECE):
                    FilePiece.objects.create(file=file, offset=offset, data=kept.read(PIECE))
        return file


def file_name(text: str) -> str:
    """The nearest name a file may have to what a target calls it."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:100].lstrip("._-")
    return name or "file"


class StoredFile(models.Model):
    """A file that never changes; another upload of its name is another file, and the newest is meant."""

    name = models.CharField(max_length=100, db_index=True)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    attempt = models.ForeignKey(
        "Attempt",
        null=True,
        on_delete=models.CASCADE,
        related_name="files",
        help_text="The attempt that downloaded it; empty for a file that a person stored.",
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = StoredFileQuerySet.as_manager()

    class Meta:
        ordering = ("name", "-pk")

    def __str__(self) -> str:
        return f"{self.name} ({self.size} bytes)"

    def content(self) -> Iterator[bytes]:
        """The file in pieces, in order."""
        pieces = self.pieces.order_by("offset").values_list("data", flat=True)
        for data in pieces.iterator(chunk_size=1):
            yield bytes(data)


class FilePiece(models.Model):
    """A stretch of a file."""

    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="pieces")
    offset = models.PositiveBigIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint("file", "offset", name="file_piece_once"),)

    def __str__(self) -> str:
        return f"{self.file_id}[{self.offset}]"
