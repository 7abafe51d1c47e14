"""How we log in: credentials whose secrets are written, used, and never shown."""

import dataclasses
import uuid
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from credentials.certificates import Certificate, CertificateError, read_certificate
from credentials.client_certificates import (
    ClientCertificate,
    ClientCertificateError,
    read_client_certificate,
)
from credentials.fields import StrictEncryptedTextField
from credentials.keys import KeysUnusable
from credentials.rules import CredentialError, CredentialSecrets, check_secrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret
from credentials.vault import EntryError, VaultEntry, VaultReader, VaultUnusable, entry_proofs, read_entry

ROLES: Final = ("viewer", "operator", "approver", "admin")
"""The groups whose members may know that a credential exists."""

EXPIRES_SOON: Final = timedelta(days=14)
"""So long before its end a credential is warned of."""

_SECRET_COLUMNS: Final = ("sealed", "version", "kind", "key_type", "key_fingerprint", "updated_at")


_vault = VaultReader()


class CredentialQuerySet(models.QuerySet["Credential"]):
    """Credentials, as far as somebody may know of them."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> "CredentialQuerySet":
        """All for superusers and members of a role's group, none for anybody else; secrets for nobody."""
        if not (isinstance(user, PermissionsMixin) and user.is_active):
            return self.none()
        if user.is_superuser or user.groups.filter(name__in=ROLES).exists():
            return self.all()
        return self.none()

    def with_expiry(self) -> "CredentialQuerySet":
        """Enabled ones that have expired or will within EXPIRES_SOON, the first to expire first."""
        limit = timezone.now() + EXPIRES_SOON
        return self.filter(enabled=True, expires_at__lt=limit).order_by("expires_at")

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
        KEYTAB = "keytab", "Kerberos keytab"
        CLIENT_CERTIFICATE = "client_certificate", "Client certificate"
        VAULT = "vault", "Kept in Vault or OpenBao"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    username = models.CharField(max_length=256)
    sealed = StrictEncryptedTextField(null=True, editable=False)
    vault = models.JSONField(
        default=dict,
        blank=True,
        help_text="Kind vault: address, path, keys, mount, namespace, auth, role_id, ca.",
    )
    version = models.PositiveIntegerField(default=0, editable=False)
    key_type = models.CharField(max_length=64, null=True, editable=False)
    key_fingerprint = models.CharField(max_length=64, null=True, editable=False)
    certificate = models.TextField(
        blank=True,
        help_text="For a private key: its OpenSSH user certificate, the file that ends in -cert.pub. "
        "For a client certificate: it, as PEM, and those of its authorities, if any.",
    )
    enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on nobody logs in with it. Empty: never."
    )
    last_used_at = models.DateTimeField(null=True, editable=False)
    last_used_run = models.PositiveBigIntegerField(
        null=True, editable=False, help_text="The run that used it last; empty where a test did."
    )
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
        if self.kind == self.Kind.CLIENT_CERTIFICATE:
            if (
                facts := self.client_certificate_facts
            ) is not None:  # else told with the secrets it belongs to
                self.certificate = facts.pem
                self._end_with(facts.ends_at)
            return
        if not self.certificate:
            self._end_with(None)
            return
        if self.kind != self.Kind.PRIVATE_KEY:
            raise ValidationError({"certificate": "Only a private key and a client certificate have one."})
        try:
            found = read_certificate(self.certificate)
        except CertificateError as error:
            raise ValidationError({"certificate": f"{error}."}) from None
        if found.kind != "user":
            raise ValidationError({"certificate": "This is a certificate for hosts. Give one for users."})
        self.certificate = " ".join(self.certificate.split()[:2])
        self._end_with(found.ends_at)

    def _end_with(self, ends: datetime | None) -> None:
        """A certificate ends when it says so; only an earlier end may be set. A new one brings its own end,
        unless another was set at the same time; one that is taken away takes its end with it."""
        stored = Credential.objects.filter(pk=self.pk).first()
        if stored is not None and stored.certificate != self.certificate:
            known = stored.certificate_facts
            own_end = self.certificate != "" or (known is not None and known.ends_at == stored.expires_at)
            if own_end and stored.expires_at == self.expires_at:
                self.expires_at = None
        if ends is not None:
            self.expires_at = min(self.expires_at or ends, ends)

    @property
    def client_certificate_facts(self) -> ClientCertificate | None:
        """What the client certificate says of itself; None for another kind, or where it cannot be read."""
        if self.kind != self.Kind.CLIENT_CERTIFICATE:
            return None
        try:
            return read_client_certificate(self.certificate)
        except ClientCertificateError:
            return None

    def check_certificate(self, *, before: "Credential | None") -> None:
        """Raise CredentialError where a client certificate that is to be stored anew has expired."""
        facts = self.client_certificate_facts
        if facts is not None and facts.expired and (before is None or before.certificate != facts.pem):
            raise CredentialError(
                "credential.certificate_expired",
                "certificate",
                f"The certificate expired on {facts.ends_at:%Y-%m-%d %H:%M} UTC. Have a new one issued.",
            )

    def check_fit(self) -> None:
        """Raise CredentialError unless the stored secrets go with this login name and certificate."""
        if self.kind in (self.Kind.KEYTAB, self.Kind.CLIENT_CERTIFICATE):
            check_secrets(self.kind, self.secrets(), username=self.username, certificate=self.certificate)

    @property
    def certificate_facts(self) -> Certificate | None:
        """What the OpenSSH certificate says of itself; None when there is none that can be read."""
        try:
            is_one = self.certificate and self.kind == self.Kind.PRIVATE_KEY
            return read_certificate(self.certificate) if is_one else None
        except CertificateError:
            return None

    def used(self, *, run: int | None = None) -> None:
        """Note that a run, or a test, logs in with it; of one run at most once a minute: many share a row."""
        now = timezone.now()
        fresh = self.last_used_at is not None and now - self.last_used_at <= timedelta(minutes=1)
        if not fresh or run != self.last_used_run:
            self.last_used_at, self.last_used_run = now, run
            Credential.objects.filter(pk=self.pk).update(last_used_at=now, last_used_run=run)

    @property
    def expired(self) -> bool:
        """Its time is over: it must not be used."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def expiry(self) -> str:
        """`none`, `later`, `soon` (within EXPIRES_SOON) or `expired`."""
        if self.expires_at is None:
            return "none"
        if self.expired:
            return "expired"
        return "soon" if self.expires_at <= timezone.now() + EXPIRES_SOON else "later"

    def proves_by(self) -> frozenset[str]:
        """What it logs in with: some of `password`, `private_key`, `keytab` and `client_certificate`.

        A vault is not asked: what its entry is to give counts. Where the secrets cannot be read, which others
        tell, a private key counts as one with a password.
        """
        if self.kind == self.Kind.VAULT:
            keys = self.vault.get("keys")
            return entry_proofs(keys if isinstance(keys, dict) else ())
        if self.kind != self.Kind.PRIVATE_KEY:
            return frozenset((str(self.kind),))
        try:
            alone = self.secrets().password is None
        except (DecryptionError, KeysUnusable):
            alone = False
        return frozenset(("private_key",)) if alone else frozenset(("private_key", "password"))

    def secrets(self) -> CredentialSecrets:
        """The secrets as this instance was loaded. Raises DecryptionError, KeysUnusable."""
        opened = sealed_field(self).open(self)
        return CredentialSecrets() if opened is None else CredentialSecrets.from_json(opened)

    def login_secrets(self) -> CredentialSecrets:
        """What a login needs: the stored secrets or, for kind vault, those read from there just now.

        May wait for the network a few seconds, so never inside a transaction. Raises DecryptionError,
        KeysUnusable, VaultUnusable, this also where a vault gives a keytab or certificate that is none.
        """
        stored = self.secrets()
        if self.kind != self.Kind.VAULT:
            return stored
        if stored.vault_secret is None:
            raise VaultUnusable("vault.denied", "There is no token or secret id.", "Enter it.")
        found = _vault.read((self.pk, self.version, str(self.vault)), self.vault_entry(), stored.vault_secret)
        secrets = CredentialSecrets(**found)
        try:
            self._check_found(secrets)
        except CredentialError as error:
            told = f"What the vault gives cannot be used: {error.messages[0]}"
            unusable = VaultUnusable(str(error.code), told, "Correct the entry in the vault.")
        else:
            return secrets
        raise unusable  # here, where no other error is its context

    def _check_found(self, secrets: CredentialSecrets) -> None:
        """Raise CredentialError unless a keytab or client certificate from a vault can be used as it is."""
        if secrets.keytab is not None:
            check_secrets(self.Kind.KEYTAB, secrets, username=self.username)
        elif secrets.client_certificate is not None:
            own = dataclasses.replace(secrets, client_certificate=None)
            text = secrets.client_certificate.reveal()
            check_secrets(self.Kind.CLIENT_CERTIFICATE, own, certificate=text)
            if (found := read_client_certificate(text)).expired:
                raise CredentialError(
                    "credential.certificate_expired",
                    "vault",
                    f"The certificate in the vault expired on {found.ends_at:%Y-%m-%d %H:%M} UTC. "
                    "Have a new one issued.",
                )

    def vault_entry(self) -> VaultEntry:
        """Where the secrets are. Raises CredentialError."""
        try:
            return read_entry(self.vault)
        except EntryError as error:
            problem = CredentialError("credential.vault_entry", f"vault.{error.part}", str(error))
        raise problem

    def check_entry(self, *, before: "Credential | None", proof: Secret | None) -> None:
        """Raise CredentialError unless the entry can be used; `before` is the row as it is stored.

        Whoever moves the entry to another server must enter its token again: else they could have ours sent
        to a server of their own.
        """
        if self.kind != self.Kind.VAULT:
            return
        address = self.vault_entry().address
        moved = before is not None and before.vault.get("address") != address
        if moved and proof is None:
            raise CredentialError(
                "credential.vault_secret_needed",
                "vault_secret",
                "The address is another one: enter the token or secret id again.",
            )

    def set_secrets(
        self,
        *,
        password: Secret | None = None,
        private_key: Secret | None = None,
        passphrase: Secret | None = None,
        become_password: Secret | None = None,
        vault_secret: Secret | None = None,
        keytab: Secret | None = None,
    ) -> None:
        """Change the secrets given, keep the others, and save; a new row is inserted.

        A passphrase belongs to its key: a new private key without one forgets the old one. Setting what is
        stored already changes nothing, nor the version. On a stored row only the columns around the secrets
        are written, under the row's lock.

        Raises CredentialError; DecryptionError where the stored secrets cannot be read (`replace_secrets`
        does not read them); KeysUnusable. Then nothing has changed.
        """
        given = CredentialSecrets(password, private_key, passphrase, become_password, vault_secret, keytab)
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
        facts = check_secrets(self.kind, secrets, username=self.username, certificate=self.certificate)
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
