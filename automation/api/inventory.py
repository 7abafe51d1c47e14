"""Targets, groups and host keys."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Count
from django.utils.functional import cached_property
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import principal
from automation.api.pages import PAGE, whole_number
from automation.api.permissions import require, require_person
from automation.api.problems import Problem
from automation.api.strict import Mapped, NamedRows, Names, NumberedRow, StrictModel, Text
from automation.api.views import READ_AND_POST, ApiViewSet
from automation.ask_test import ask_test
from automation.definitions.errors import ParameterError
from automation.definitions.parameters import check_variables
from automation.definitions.query import parse
from automation.host_key_lines import check_host_key
from automation.login_choice import Choices
from automation.models import Group, HostKey, Target, TargetTest
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
    """A target. `credential` is an id, `groups` are names; `trusted_keys` are fingerprints."""

    credential = NumberedRow(queryset=Credential.objects.all(), allow_null=True, required=False)
    groups = NamedRows(slug_field="name", queryset=Group.objects.all(), many=True, required=False)
    tags = Names(required=False)
    variables = Variables(required=False)
    trusted_keys = serializers.SerializerMethodField()
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
            "credential",
            "login",
            "groups",
            "tags",
            "environment",
            "zone",
            "variables",
            "enabled",
            "trusted_keys",
            "created_at",
        )

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


class TargetViews(Inventory):
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
        before = Choices().of(target).credential if target is not None else None
        after = Choices().of_these(
            own=given.get("credential", target.credential if target else None),
            groups=given.get("groups", target.groups.all() if target else ()),
            environment=given.get("environment", target.environment if target else ""),
        )
        moves = target is None or any(
            key in given and given[key] != getattr(target, key) for key in ("address", "port")
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


class GroupSerializer(StrictModel):
    """A group; `targets` says how many are in it."""

    variables = Variables(required=False)
    credential = NumberedRow(queryset=Credential.objects.all(), allow_null=True, required=False)
    targets = serializers.IntegerField(read_only=True, source="size", default=0)

    class Meta:
        model = Group
        fields = ("id", "name", "description", "variables", "credential", "targets")

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

    def perform_create(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def perform_update(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def _may_use_credential(self, serializer: Any) -> None:
        if serializer.validated_data.get("credential") is not None:
            require(self.request, "credentials:write")


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
