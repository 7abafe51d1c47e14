"""Credentials: secrets go in, and never come out."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.addresses import check_username
from automation.api.inventory import Inventory
from automation.api.problems import Problem
from automation.api.strict import Mapped, SecretText, StrictModel, Text
from automation.login_choice import is_used, uses_of
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret
from credentials.trial import try_credential

SECRETS = ("password", "private_key", "passphrase", "become_password", "vault_secret", "keytab")
READ_ONLY = (
    "version",
    "key_type",
    "key_fingerprint",
    "expiry",
    "last_used_at",
    "last_used_run",
    "created_at",
    "updated_at",
)
SCOPES = {
    "GET": "inventory:read",
    "POST": "credentials:write",
    "PATCH": "credentials:write",
    "DELETE": "credentials:write",
}


class CredentialSerializer(StrictModel):
    """A login. A secret that is left out stays as it is; answers only say which ones there are.

    `keytab` is the file in base64, with `username` as its principal `name@REALM`. `certificate` is an OpenSSH
    user certificate of a `private_key`, or the PEM text of a `client_certificate`; `expires_at` is then its
    end, or earlier.

    `used_by` names what names it, in answers about one credential.
    """

    password = SecretText()
    private_key = SecretText()
    passphrase = SecretText()
    become_password = SecretText()
    certificate = Text(required=False, allow_blank=True, max_length=64 * 1024)
    certificate_facts = serializers.SerializerMethodField()
    vault_secret = SecretText()
    keytab = SecretText()
    client_certificate_facts = serializers.SerializerMethodField()
    vault = Mapped(required=False)

    class Meta:
        model = Credential
        fields = (
            "id",
            "name",
            "kind",
            "username",
            "enabled",
            "certificate",
            "certificate_facts",
            "client_certificate_facts",
            "vault",
            "expires_at",
            *READ_ONLY,
            *SECRETS,
        )
        read_only_fields = READ_ONLY

    def to_representation(self, instance: Credential) -> dict[str, Any]:
        told = super().to_representation(instance)
        if self.parent is None:  # a list would ask three questions a row
            told["used_by"] = uses_of(instance)
        try:
            there = {name for name, _ in instance.secrets().items()}
        except DecryptionError:
            # The row stays visible, so that somebody can give it its secrets anew.
            return told | {f"has_{name}": None for name in SECRETS}
        return told | {f"has_{name}": name in there for name in SECRETS}

    def get_certificate_facts(self, credential: Credential) -> dict[str, Any] | None:
        """What the user certificate says of itself; null when there is none."""
        found = credential.certificate_facts
        if found is None:
            return None
        return {
            "key_id": found.key_id,
            "serial": found.serial,
            "principals": list(found.principals),
            "authority": found.authority_fingerprint,
            "begins_at": found.begins_at,
            "ends_at": found.ends_at,
            "expired": found.expired(),
        }

    def get_client_certificate_facts(self, credential: Credential) -> dict[str, Any] | None:
        """What the client certificate says of itself; null for other kinds."""
        found = credential.client_certificate_facts
        if found is None:
            return None
        return {
            "subject": found.subject,
            "issuer": found.issuer,
            "serial": found.serial,
            "names": list(found.names),
            "fingerprint": found.fingerprint,
            "begins_at": found.begins_at,
            "ends_at": found.ends_at,
            "expired": found.expired,
        }

    def validate_username(self, value: str) -> str:
        check_username(value)
        return value

    def checked(self, credential: Credential) -> None:
        """The row's own rules, before there is a row: its secrets are stored together with it."""
        try:
            credential.clean()
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from None

    def create(self, validated_data: dict[str, Any]) -> Credential:
        return self._stored(Credential(), validated_data)

    def update(self, instance: Credential, validated_data: dict[str, Any]) -> Credential:
        return self._stored(instance, validated_data)

    def _stored(self, credential: Credential, values: dict[str, Any]) -> Credential:
        given = {name: Secret(values.pop(name)) for name in SECRETS if name in values}
        fresh = credential.pk is None or values.get("kind", credential.kind) != credential.kind
        try:
            with transaction.atomic():
                before = Credential.objects.select_for_update().filter(pk=credential.pk).first()
                after = Credential(**{"kind": credential.kind, "vault": credential.vault} | values)
                after.check_entry(before=before, proof=given.get("vault_secret"))
                after.check_certificate(before=before)
                if credential.pk is None:
                    for name, value in values.items():
                        setattr(credential, name, value)
                    self.checked(credential)
                elif values:
                    touched: tuple[str, ...] = ("updated_at",)
                    if fresh:  # the key of the former kind goes with its secrets, below
                        credential.key_fingerprint = None
                        touched += ("key_fingerprint",)
                    if "certificate" in values and "expires_at" not in values:
                        touched += ("expires_at",)  # a certificate brings its own
                    self.saved(credential, values, touched=touched)
                if fresh:
                    credential.replace_secrets(CredentialSecrets(**given))
                elif given:
                    credential.set_secrets(**given)
                elif {"username", "certificate"} & values.keys():
                    credential.check_fit()
        except CredentialError as error:
            text = error.messages[0]
            raise Problem(
                text, code=str(error.code), errors=[{"field": error.field, "message": text}]
            ) from None
        return Credential.objects.get(pk=credential.pk)


class CredentialViews(Inventory):
    """Reading tells that a credential exists and whether it has secrets; writing needs credentials:write.

    `?search=` (part of the name) and `?kind=` choose.
    """

    serializer_class = CredentialSerializer
    list_keys = ("search", "kind")
    page_order = ("name", "pk")
    scopes = SCOPES

    @action(detail=True, methods=["post"], scopes={"POST": "credentials:write"})
    def test(self, request: Request, pk: str) -> Response:
        """Whether its secrets can be had now, from Vault too; which there are, never what they are."""
        return Response(try_credential(self.get_object()).as_dict())

    def get_queryset(self) -> Any:
        rows = self.searched(Credential.objects.all())
        kind = self.chosen("kind", Credential.Kind.values)
        return rows.filter(kind=kind) if kind else rows

    def perform_destroy(self, instance: Credential) -> None:
        if is_used(instance):
            users = "; ".join(
                f"{kind} {', '.join(names)}" for kind, names in uses_of(instance, shown=5).items() if names
            )
            raise Problem(
                f"Targets log in with this credential: {users}. Give them another one first.",
                code="credential.in_use",
                status=409,
            )
        instance.delete()
