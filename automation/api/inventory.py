"""Targets, groups and host keys."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.functional import cached_property
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.looks import LookActions
from automation.api.permissions import require
from automation.api.problems import Problem
from automation.api.strict import Mapped, NamedRows, Names, NumberedRow, StrictModel
from automation.api.target_filters import FILTERS, chosen_by
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.belonging import Candidate, GroupTree, VariableSource
from automation.definitions.errors import ParameterError
from automation.definitions.parameters import check_variables
from automation.login_choice import Choices
from automation.models import Group, HostKey, Target
from automation.models.winrm import check_winrm, with_windows_defaults
from credentials.models import Credential

SCOPES = {
    "GET": "inventory:read",
    "POST": "inventory:write",
    "PATCH": "inventory:write",
    "DELETE": "inventory:write",
}


class Variables(Mapped):
    """Variables by name, as scripts will see them."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            return dict(check_variables(super().to_internal_value(data)))
        except ParameterError as error:
            texts = [
                f"{found['path'].removeprefix('variables.')}: {found['message']}" for found in error.errors
            ]
            raise serializers.ValidationError(texts, "variables") from None


class WinRM(serializers.JSONField):
    """How a Windows target is spoken to: `method`, `https`, `encrypt`, `service_name`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            check_winrm(data)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return dict(data)


class TargetSerializer(StrictModel):
    """A target. `credential` and `bastion` are ids, `groups` are names; `trusted_keys` are fingerprints.

    `groups` are those it was put into; `member_of` are all it is in, each with `because`: empty, or through
    which group or query. `effective_variables` are what scripts see, each with the group it comes `from`
    (null: the target itself) and what it goes `over`, nearest first.
    """

    credential = NumberedRow(queryset=Credential.objects.all(), allow_null=True, required=False)
    groups = NamedRows(slug_field="name", queryset=Group.objects.all(), many=True, required=False)
    tags = Names(required=False)
    winrm = WinRM(required=False)
    bastion = NumberedRow(queryset=Target.objects.all(), allow_null=True, required=False)
    variables = Variables(required=False)
    trusted_keys = serializers.SerializerMethodField()
    facts = serializers.JSONField(read_only=True)
    member_of = serializers.SerializerMethodField()
    effective_variables = serializers.SerializerMethodField()
    login = serializers.SerializerMethodField()

    class Meta:
        model = Target
        fields = (
            "id",
            "name",
            "address",
            "platform",
            "transport",
            "port",
            "winrm",
            "credential",
            "login",
            "groups",
            "tags",
            "environment",
            "zone",
            "bastion",
            "variables",
            "enabled",
            "maintenance",
            "maintenance_until",
            "maintenance_reason",
            "member_of",
            "effective_variables",
            "trusted_keys",
            "facts",
            "facts_at",
            "created_at",
        )
        read_only_fields = ("facts", "facts_at", "created_at")

    @cached_property
    def _choices(self) -> Choices:
        return Choices()

    def get_login(self, target: Target) -> dict[str, Any]:
        """The credential that a run would use now, and why this one."""
        chosen = self._choices.of(target)
        credential = chosen.credential
        return {
            "credential": credential.pk if credential else None,
            "username": credential.username if credential else None,
            "expiry": credential.expiry if credential else None,
            "why": chosen.why,
        }

    def get_trusted_keys(self, target: Target) -> list[str]:
        keys = target.host_keys.all()
        return sorted(key.fingerprint for key in keys if key.state == HostKey.State.TRUSTED)

    def get_member_of(self, target: Target) -> list[dict[str, str]]:
        found = self._candidate(target).memberships()
        return [{"group": name, "because": why} for name, why in found]

    def get_effective_variables(self, target: Target) -> dict[str, Any]:
        return {
            name: {**_source(sources[-1]), "over": [_source(each) for each in reversed(sources[:-1])]}
            for name, sources in sorted(self._candidate(target).variable_sources().items())
        }

    def _candidate(self, target: Target) -> Candidate:
        return Candidate(target, self.context["tree"]())

    def create(self, validated_data: dict[str, Any]) -> Target:
        return self._stored(Target(), with_windows_defaults(validated_data))

    def update(self, instance: Target, validated_data: dict[str, Any]) -> Target:
        return self._stored(instance, validated_data)

    @transaction.atomic
    def _stored(self, target: Target, values: dict[str, Any]) -> Target:
        groups = values.pop("groups", None)
        self.saved(target, values)
        if groups is not None:
            target.groups.set(groups)
        return Target.objects.with_plan_parts().get(pk=target.pk)


def _source(source: VariableSource) -> dict[str, Any]:
    return {"value": source.value, "from": source.group.name if source.group else None}


class Inventory(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    ApiViewSet,
):
    """Rows that are listed, made, changed in part, and deleted."""

    http_method_names = [*READ_AND_POST, "patch", "delete"]  # noqa: RUF012  (DRF declares it so)
    scopes = SCOPES

    def partial_update(self, request: Request, pk: str) -> Response:
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        self.perform_update(serializer)
        return Response(serializer.data)

    def perform_update(self, serializer: Any) -> None:
        serializer.save()


class TargetViews(LookActions, Inventory):
    """`?q=` takes a target query; `?platform=`, `environment`, `group` and `flag` choose as its terms."""

    serializer_class = TargetSerializer
    list_keys = ("q", *FILTERS)
    page_order = ("name", "pk")

    def get_serializer_context(self) -> dict[str, Any]:
        # Groups are read once an answer, after whatever the request changes.
        return {**super().get_serializer_context(), "tree": cache(GroupTree.load)}

    def get_queryset(self) -> Any:
        targets = self.visible(Target.objects.with_plan_parts())
        return chosen_by(self.request, targets) if self.action == "list" else targets

    def perform_create(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def perform_update(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def _may_use_credential(self, serializer: Any) -> None:
        # Whoever ties a login to an address, from either end, decides which machine gets to see it.
        target, given = serializer.instance, serializer.validated_data
        before = Choices().of(target).credential if target is not None else None
        after = Choices().of_these(
            own=given.get("credential", target.credential if target else None),
            groups=given.get("groups", target.groups.all() if target else ()),
            environment=given.get("environment", target.environment if target else ""),
        )
        moves = target is None or any(
            key in given and given[key] != getattr(target, key)
            for key in ("address", "port", "bastion", "transport", "winrm")
        )
        if after.credential is not None and (moves or after.credential != before):
            require(self.request, "credentials:write")

    def perform_destroy(self, instance: Target) -> None:
        if instance.is_in_use():
            raise Problem(
                f"{instance.name} is part of a run that is not over, or locked by one. Cancel the run first.",
                code="target.in_use",
                status=409,
            )
        if behind := instance.behind.values_list("name", flat=True)[:5]:
            raise Problem(
                f"Targets are reached through {instance.name}: {', '.join(behind)}. "
                "Give them another bastion first.",
                code="target.is_bastion",
                status=409,
            )
        instance.delete()
