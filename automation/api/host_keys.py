"""Host keys, and the authorities whose host certificates are accepted."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.inventory import SCOPES, Inventory
from automation.api.pages import whole_number
from automation.api.permissions import require_person
from automation.api.problems import Problem
from automation.api.strict import NamedRows, Names, NumberedRow, Strict, StrictModel, Text, Whole
from automation.api.views import ApiViewSet
from automation.host_key_lines import MAX_CERTIFICATE, check_host_key
from automation.models import Group, HostCertificateAuthority, HostKey, Target

MOST = 1000
"""Host keys that one request may decide about."""


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

    @action(detail=False, methods=["post"], url_path="trust")
    def trust_many(self, request: Request) -> Response:
        """`{"keys": [ids]}`, or `{"fingerprints": ["SHA256:…"]}` as the machines' consoles show them."""
        return self._decided_many(request, HostKey.objects.trust_all)

    @action(detail=False, methods=["post"], url_path="revoke")
    def revoke_many(self, request: Request) -> Response:
        """As `trust`."""
        return self._decided_many(request, HostKey.objects.revoke_all)

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

    def _decided_many(self, request: Request, verb: Any) -> Response:
        require_person(request, "vouch for the identity of machines")
        keys = chosen_keys(request, list(self.get_queryset()))
        try:
            verb(keys, by=request.user)
        except ValueError as error:
            raise Problem(str(error), code="hostkey.ambiguous", status=409) from None
        return Response({"decided": self.get_serializer(keys, many=True).data})


class ChosenKeys(Strict):
    """Which host keys are meant: by id or by fingerprint."""

    keys = serializers.ListField(child=Whole(min_value=1), required=False, max_length=MOST)
    fingerprints = serializers.ListField(child=Text(max_length=100), required=False, max_length=MOST)


def chosen_keys(request: Request, known: list[HostKey]) -> list[HostKey]:
    """The keys that the request names, each once. Raises Problem 400, or 404 where one does not exist."""
    given = ChosenKeys(data=request.data)
    given.is_valid(raise_exception=True)
    asked = given.validated_data
    if len(asked) != 1 or not any(asked.values()):
        raise Problem('Give either "keys" or "fingerprints", with at least one.', code="input.invalid")
    by_id = {key.pk: key for key in known}
    if numbers := asked.get("keys"):
        if missing := [str(number) for number in numbers if number not in by_id]:
            raise Problem(f"There is no host key {', '.join(missing[:5])}.", code="not_found", status=404)
        return [by_id[number] for number in dict.fromkeys(numbers)]
    wanted = set(asked["fingerprints"])
    found = [key for key in known if key.fingerprint in wanted and key.state != HostKey.State.REVOKED]
    if missing := sorted(wanted - {key.fingerprint for key in found}):
        raise Problem(f"No machine showed {', '.join(missing[:5])}.", code="not_found", status=404)
    return found


class AuthoritySerializer(StrictModel):
    """A key that signs host certificates, and for which targets its word counts; `groups` are names."""

    key_type = Text(max_length=64)
    key = Text(max_length=MAX_CERTIFICATE)
    patterns = Names(required=False)
    groups = NamedRows(slug_field="name", queryset=Group.objects.all(), many=True, required=False)
    added_by = serializers.SlugRelatedField(slug_field="username", read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = HostCertificateAuthority
        fields = (
            "id",
            "name",
            "key_type",
            "key",
            "fingerprint",
            "patterns",
            "groups",
            "enabled",
            "added_by",
            "created_at",
        )

    def create(self, validated_data: dict[str, Any]) -> Any:
        return self._stored(HostCertificateAuthority(), validated_data)

    def update(self, instance: HostCertificateAuthority, validated_data: dict[str, Any]) -> Any:
        return self._stored(instance, validated_data)

    @transaction.atomic
    def _stored(self, authority: HostCertificateAuthority, values: dict[str, Any]) -> Any:
        groups = values.pop("groups", None)
        self.saved(authority, values)
        if groups is not None:
            authority.groups.set(groups)
        return HostCertificateAuthority.objects.get(pk=authority.pk)


class AuthorityViews(Inventory):
    """Host certificate authorities. Only a person may say whose word counts."""

    serializer_class = AuthoritySerializer
    list_keys = ("search",)
    page_order = ("name", "pk")

    def get_queryset(self) -> Any:
        rows = HostCertificateAuthority.objects.select_related("added_by").prefetch_related("groups")
        return self.searched(rows)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in ("create", "partial_update", "destroy"):
            require_person(request, "say who may vouch for machines")

    def perform_create(self, serializer: Any) -> None:
        serializer.save(added_by=self.request.user)
