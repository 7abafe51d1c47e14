"""Credentials: secrets go in, and never come out."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from rest_framework import serializers

from automation.addresses import check_username
from automation.api.inventory import Inventory
from automation.api.problems import Problem
from automation.api.strict import SecretText, StrictModel, Text
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret

SECRETS = ("password", "private_key", "passphrase", "become_password")
SCOPES = {
    "GET": "inventory:read",
    "POST": "credentials:write",
    "PATCH": "credentials:write",
    "DELETE": "credentials:write",
}


class CredentialSerializer(StrictModel):
    """A login. A secret that is left out stays as it is; answers only say which ones there are."""

    password = SecretText()
    private_key = SecretText()
    passphrase = SecretText()
    become_password = SecretText()
    certificate = Text(required=False, allow_blank=True, max_length=64 * 1024)
    certificate_facts = serializers.SerializerMethodField()

    class Meta:
        model = Credential
        fields = (
            "id",
            "name",
            "kind",
            "username",
            "enabled",
            "version",
            "key_type",
            "key_fingerprint",
            "certificate",
            "certificate_facts",
            "created_at",
            "updated_at",
            *SECRETS,
        )
        read_only_fields = ("version", "key_type", "key_fingerprint", "created_at", "updated_at")

    def to_representation(self, instance: Credential) -> dict[str, Any]:
        try:
            there = {name for name, _ in instance.secrets().items()}
        except DecryptionError:
            # The row stays visible, so that somebody can give it its secrets anew.
            return super().to_representation(instance) | {f"has_{name}": None for name in SECRETS}
        return super().to_representation(instance) | {f"has_{name}": name in there for name in SECRETS}

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
            "ends_at": found.ends_at,
            "expired": found.expired(),
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
                if credential.pk is None:
                    for name, value in values.items():
                        setattr(credential, name, value)
                    self.checked(credential)
                elif values:
                    self.saved(credential, values, touched=("updated_at",))
                if fresh:
                    credential.replace_secrets(CredentialSecrets(**given))
                elif given:
                    credential.set_secrets(**given)
        except CredentialError as error:
            text = error.messages[0]
            raise Problem(
                text, code=str(error.code), errors=[{"field": error.field, "message": text}]
            ) from None
        return Credential.objects.get(pk=credential.pk)


class CredentialViews(Inventory):
    """Reading tells that a credential exists and whether it has secrets; writing needs credentials:write."""

    serializer_class = CredentialSerializer
    page_order = ("name", "pk")
    scopes = SCOPES

    def get_queryset(self) -> Any:
        return self.visible(Credential.objects.all())

    def perform_destroy(self, instance: Credential) -> None:
        users = instance.targets.values_list("name", flat=True)[:5]
        if users:
            raise Problem(
                f"Targets log in with this credential: {', '.join(users)}. Give them another one first.",
                code="credential.in_use",
                status=409,
            )
        instance.delete()
