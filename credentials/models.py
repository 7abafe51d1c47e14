"""How we log in: credentials whose secrets are written, used, and never shown."""

import dataclasses
import uuid
from datetime import timedelta
from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from credentials.certificates import Certificate, CertificateError, read_certificate
from credentials.fields import StrictEncryptedTextField
from credentials.rules import CredentialSecrets, check_secrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret

ROLES: Final = ("viewer", "operator", "approver", "admin")
"""The groups whose members may know that a credential exists."""

_SECRET_COLUMNS: Final = ("sealed", "version", "kind", "key_type", "key_fingerprint", "updated_at")


class CredentialQuerySet(models.QuerySet["Credential"]):
    """Credentials, as far as somebody may know of them."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> "CredentialQuerySet":
        """All for superusers and members of a role's group, none for anybody else; secrets for nobody."""
        if not (isinstance(user, PermissionsMixin) and user.is_active):
            return self.none()
        if user.is_superuser or user.groups.filter(name__in=ROLES).exists():
            return self.all()
        return self.none()

    def usable(self) -> "CredentialQuerySet":
        """Those that may be used to log in."""
        return self.filter(enabled=True)


class Credential(models.Model):
    """A login: a name people know it by, a user name, and secrets encrypted in one column.

    `version` counts the changes of the secrets. `key_type` and `key_fingerprint` are what may be known of the
    private key. Secrets go in by `set_secrets` and `replace_secrets` and come out by `secrets` alone.
    """

    class Kind(models.TextChoices):
        """What proves who we are."""

        PASSWORD = "password", "Password"
        PRIVATE_KEY = "private_key", "Private key"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    username = models.CharField(max_length=256)
    sealed = StrictEncryptedTextField(null=True, editable=False)
    version = models.PositiveIntegerField(default=0, editable=False)
    key_type = models.CharField(max_length=64, null=True, editable=False)
    key_fingerprint = models.CharField(max_length=64, null=True, editable=False)
    certificate = models.TextField(
        blank=True, help_text="OpenSSH user certificate for the private key: the file that ends in -cert.pub."
    )
    enabled = models.BooleanField(default=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                name="credential_password_has_no_key",
                condition=~Q(kind="password") | Q(key_fingerprint__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not self.certificate:
            return
        if self.kind != self.Kind.PRIVATE_KEY:
            raise ValidationError({"certificate": "Only a private key has a certificate."})
        try:
            found = read_certificate(self.certificate)
        except CertificateError as error:
            raise ValidationError({"certificate": f"{error}."}) from None
        if found.kind != "user":
            raise ValidationError({"certificate": "This is a certificate for hosts. Give one for users."})
        self.certificate = " ".join(self.certificate.split()[:2])

    @property
    def certificate_facts(self) -> Certificate | None:
        """What the stored certificate says of itself; None when there is none that can be read."""
        try:
            return read_certificate(self.certificate) if self.certificate else None
        except CertificateError:
            return None

    def used(self) -> None:
        """Note that somebody logs in with it, at most once a minute: many targets share one row."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            self.last_used_at = now
            Credential.objects.filter(pk=self.pk).update(last_used_at=now)

    def secrets(self) -> CredentialSecrets:
        """The secrets as this instance was loaded. Raises DecryptionError, KeysUnusable."""
        opened = sealed_field(self).open(self)
        return CredentialSecrets() if opened is None else CredentialSecrets.from_json(opened)

    def set_secrets(
        self,
        *,
        password: Secret | None = None,
        private_key: Secret | None = None,
        passphrase: Secret | None = None,
        become_password: Secret | None = None,
    ) -> None:
        """Change the secrets given, keep the others, and save; a new row is inserted.

        A passphrase belongs to its key: a new private key without one forgets the old one. Setting what is
        stored already changes nothing, nor the version. On a stored row only the columns around the secrets
        are written, under the row's lock.

        Raises CredentialError; DecryptionError where the stored secrets cannot be read (`replace_secrets`
        does not read them); KeysUnusable. Then nothing has changed.
        """
        given = CredentialSecrets(password, private_key, passphrase, become_password)
        with transaction.atomic():
            stored = self._locked().secrets()
            if private_key is not None:
                stored = dataclasses.replace(stored, passphrase=None)
            self._store(dataclasses.replace(stored, **dict(given.items())))

    def replace_secrets(self, secrets: CredentialSecrets) -> None:
        """Store these secrets and no others, and save; the old ones are not read. Raises as `set_secrets`."""
        with transaction.atomic():
            self._store(secrets)

    def _locked(self) -> "Credential":
        """The stored row, locked, since another process may have changed it; self when there is none yet."""
        return self if self._state.adding else Credential.objects.select_for_update().get(pk=self.pk)

    def _store(self, secrets: CredentialSecrets) -> None:
        facts = check_secrets(self.kind, secrets)
        stored = self._locked()
        if stored._holds(secrets):
            self.sealed, self.version = stored.sealed, stored.version
            return
        sealed_field(self).seal(self, secrets.as_json())
        self.version = stored.version + 1
        self.key_type = facts.key_type if facts else None
        self.key_fingerprint = facts.fingerprint if facts else None
        self.save(update_fields=None if self._state.adding else _SECRET_COLUMNS)

    def _holds(self, secrets: CredentialSecrets) -> bool:
        try:
            return self.sealed is not None and self.secrets() == secrets
        except DecryptionError:
            return False


class KeyCanary(models.Model):
    """The one row that tells at start whether the configured keys are those of this database."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sealed = StrictEncryptedTextField(editable=False)

    def __str__(self) -> str:
        return "key canary"


def sealed_field(instance: models.Model) -> StrictEncryptedTextField:
    """The column that holds the secrets of this row's model."""
    field = instance._meta.get_field("sealed")
    assert isinstance(field, StrictEncryptedTextField)  # noqa: S101 -- tells the type
    return field
