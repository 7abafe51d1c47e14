"""Targets, groups and host keys."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Count
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.looks import LookActions
from automation.api.permissions import require
from automation.api.problems import Problem
from automation.api.strict import Mapped, NamedRows, Names, NumberedRow, StrictModel
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.definitions.errors import ParameterError
from automation.definitions.parameters import check_variables
from automation.definitions.query import parse
from automation.models import Group, HostKey, Target
from automation.plan import matching
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


class TargetSerializer(StrictModel):
    """A target. `credential` and `bastion` are ids, `groups` are names; `trusted_keys` are fingerprints."""

    credential = NumberedRow(queryset=Credential.objects.all(), allow_null=True, required=False)
    groups = NamedRows(slug_field="name", queryset=Group.objects.all(), many=True, required=False)
    tags = Names(required=False)
    bastion = NumberedRow(queryset=Target.objects.all(), allow_null=True, required=False)
    variables = Variables(required=False)
    trusted_keys = serializers.SerializerMethodField()

    class Meta:
        model = Target
        fields = (
            "id",
            "name",
            "address",
            "platform",
            "transport",
            "port",
            "credential",
            "groups",
            "tags",
            "environment",
            "zone",
            "bastion",
            "variables",
            "enabled",
            "trusted_keys",
            "facts",
            "facts_at",
            "created_at",
        )
        read_only_fields = ("facts", "facts_at", "created_at")

    def get_trusted_keys(self, target: Target) -> list[str]:
        keys = target.host_keys.all()
        return sorted(key.fingerprint for key in keys if key.state == HostKey.State.TRUSTED)

    def create(self, validated_data: dict[str, Any]) -> Target:
        return self._stored(Target(), validated_data)

    def update(self, instance: Target, validated_data: dict[str, Any]) -> Target:
        return self._stored(instance, validated_data)

    @transaction.atomic
    def _stored(self, target: Target, values: dict[str, Any]) -> Target:
        groups = values.pop("groups", None)
        self.saved(target, values)
        if groups is not None:
            target.groups.set(groups)
        return Target.objects.with_plan_parts().get(pk=target.pk)


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
    """`?q=` takes a target query."""

    serializer_class = TargetSerializer
    list_keys = ("q",)
    page_order = ("name", "pk")

    def get_queryset(self) -> Any:
        targets = self.visible(Target.objects.with_plan_parts())
        text = self.request.query_params.get("q") if self.action == "list" else None
        if text is None:
            return targets
        return targets.filter(pk__in=[t.pk for t in matching(parse(text), list(targets))])

    def perform_create(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def perform_update(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def _may_use_credential(self, serializer: Any) -> None:
        # Whoever ties a login to an address, from either end, decides which machine gets to see it.
        target, given = serializer.instance, serializer.validated_data
        moves = target is not None and any(
            key in given and given[key] != getattr(target, key) for key in ("address", "port", "bastion")
        )
        if given.get("credential") is not None or (moves and target.credential_id is not None):
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


class GroupSerializer(StrictModel):
    """A group; `targets` says how many are in it."""

    variables = Variables(required=False)
    targets = serializers.IntegerField(read_only=True, source="size", default=0)

    class Meta:
        model = Group
        fields = ("id", "name", "description", "variables", "targets")

    def create(self, validated_data: dict[str, Any]) -> Any:
        return self.saved(Group(), validated_data)

    def update(self, instance: Group, validated_data: dict[str, Any]) -> Any:
        return self.saved(instance, validated_data)


class GroupViews(Inventory):
    """Groups; membership is set on the target."""

    serializer_class = GroupSerializer
    page_order = ("name", "pk")

    def get_queryset(self) -> Any:
        return self.visible(Group.objects.all()).annotate(size=Count("targets"))
