"""Inventory files that somebody has looked at and not yet imported."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from credentials.fields import StrictEncryptedTextField
from credentials.secret import Secret

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class InventoryUploadQuerySet(models.QuerySet["InventoryUpload"]):
    def keep(self, *, user: User, content: str, **fields: Any) -> InventoryUpload:
        """Keep a file for its preview; what is too old, and this person's earlier ones, go away."""
        self.filter(models.Q(user=user) | models.Q(created_at__lt=timezone.now() - self.model.LASTS)).delete()
        row = self.model(user=user, **fields)
        row.seal(Secret(content))
        row.save()
        return row

    def waiting_for(self, user: Any) -> InventoryUploadQuerySet:
        """Those that this person may still import."""
        return self.filter(user=user, created_at__gte=timezone.now() - self.model.LASTS)


class InventoryUpload(models.Model):
    """A file between its preview and its import. Encrypted, for it may hold passwords."""

    LASTS: ClassVar[timedelta] = timedelta(hours=1)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    file_format = models.CharField(max_length=20)
    trust_host_keys = models.BooleanField(default=False)
    skip_wrong = models.BooleanField(default=False)
    sealed = StrictEncryptedTextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = InventoryUploadQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def seal(self, content: Secret) -> None:
        self._field().seal(self, content)

    def content(self) -> Secret:
        """The file's text. Raises DecryptionError when the key it was encrypted with is gone."""
        return self._field().open(self) or Secret("")

    def _field(self) -> StrictEncryptedTextField:
        field = self._meta.get_field("sealed")
        assert isinstance(field, StrictEncryptedTextField)  # noqa: S101  (declared above)
        return field
