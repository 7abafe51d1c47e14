"""Targets, groups and host keys."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from django.db import transaction
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import principal
from automation.api.pages import PAGE, whole_number
from automation.api.permissions import require, require_person
from automation.api.problems import Problem
from automation.api.strict import Mapped, NamedRows, Names, NumberedRow, StrictModel, Text
from automation.api.target_filters import FILTERS, chosen_by
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.ask_test import ask_test
from automation.belonging import Candidate, GroupTree, VariableSource
from automation.definitions.errors import ParameterError
from automation.definitions.parameters import check_variables
from automation.host_key_lines import check_host_key
from automation.models import Group, HostKey, Target, TargetTest
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
    """A target. `credential` is an id, `groups` are names; `trusted_keys` are fingerprints.

    `groups` are those it was put into; `member_of` are all it is in, each with `because`: empty, or through
    which group or query. `effective_variables` are what scripts see, each with the group it comes `from`
    (null: the target itself) and what it goes `over`, nearest first.
    """

    credential = NumberedRow(queryset=Credential.objects.all(), allow_null=True, required=False)
    groups = NamedRows(slug_field="name", queryset=Group.objects.all(), many=True, required=False)
    tags = Names(required=False)
    variables = Variables(required=False)
    trusted_keys = serializers.SerializerMethodField()
    facts = serializers.JSONField(read_only=True)
    member_of = serializers.SerializerMethodField()
    effective_variables = serializers.SerializerMethodField()

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
            "variables",
            "facts",
            "enabled",
            "maintenance",
            "maintenance_until",
            "maintenance_reason",
            "member_of",
            "effective_variables",
            "trusted_keys",
            "created_at",
        )

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


class TargetViews(Inventory):
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

    @action(detail=True, methods=["post"], scopes={"POST": "runs:submit"})
    def test(self, request: Request, pk: str) -> Response:
        """Have a worker test the target; `tests` tells the result."""
        test = ask_test(self.get_object(), by=principal(request))
        return Response(test_answer(test), status=status.HTTP_202_ACCEPTED)

    @action(detail=True, query_keys=PAGE, page_order=("-pk",))
    def tests(self, request: Request, pk: str) -> Response:
        """The target's tests, newest first."""
        return self.paged(self.get_object().tests.select_related("asked_by"), test_answer)

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
            key in given and given[key] != getattr(target, key) for key in ("address", "port")
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
        instance.delete()


def test_answer(test: TargetTest) -> dict[str, Any]:
    """How a test is told; `host_key` is the fingerprint of the key that the target showed."""
    return {
        "id": test.pk,
        "target": test.target_id,
        "state": test.state,
        "success": test.success,
        "code": test.code,
        "cause": test.cause,
        "next_step": test.next_step,
        "phases": test.phases,
        "host_key": test.host_key,
        "seconds": test.seconds,
        "asked_by": test.asked_by.get_username() if test.asked_by else None,
        "created_at": test.created_at,
        "finished_at": test.finished_at,
    }


class HostKeySerializer(StrictModel):
    """A host key; given as `{"target", "key_type", "key"}`, and always `pending` at first."""

    target = NumberedRow(queryset=Target.objects.all())
    target_name = serializers.CharField(source="target.name", read_only=True)
    key_type = Text(max_length=64)
    key = Text(max_length=4096)
    decided_by = serializers.SlugRelatedField(slug_field="username", read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = HostKey
        fields = (
            "id",
            "target",
            "target_name",
            "key_type",
            "key",
            "fingerprint",
            "state",
            "seen_at",
            "decided_by",
            "decided_at",
        )
        read_only_fields = ("state", "seen_at", "decided_at")
        validators: ClassVar[list[Any]] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            key_type, key = check_host_key(attrs["key_type"], attrs["key"])
        except ValueError as error:
            raise serializers.ValidationError({"key": [f"This {error}."]}) from None
        return attrs | {"key_type": key_type, "key": key}

    def create(self, validated_data: dict[str, Any]) -> HostKey:
        return HostKey.objects.saw(
            validated_data["target"], validated_data["key_type"], validated_data["key"], HostKey.State.PENDING
        )


class HostKeyViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, ApiViewSet):
    """`?target=` (an id) and `?state=` choose. A key is trusted by a person only."""

    serializer_class = HostKeySerializer
    list_keys = ("target", "state")
    scopes = SCOPES

    def get_queryset(self) -> Any:
        keys = self.visible(HostKey.objects.select_related("target", "decided_by"))
        if self.action == "list":
            if state := self.chosen("state", HostKey.State.values):
                keys = keys.filter(state=state)
            if "target" in self.request.query_params:
                keys = keys.filter(
                    target=whole_number(self.request, "target", default=0, at_least=1, at_most=2**63 - 1)
                )
        return keys

    @action(detail=True, methods=["post"])
    def trust(self, request: Request, pk: str) -> Response:
        return self._decided(request, HostKey.trust)

    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        return self._decided(request, HostKey.revoke)

    def _decided(self, request: Request, verb: Any) -> Response:
        require_person(request, "vouch for the identity of a machine")
        key = self.get_object()
        verb(key, by=request.user)
        return Response(self.get_serializer(key).data, status=status.HTTP_200_OK)
