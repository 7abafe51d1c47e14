"""Groups of targets: members, groups inside of groups, and queries."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import transaction
from rest_framework import serializers

from automation.api.inventory import Inventory, Variables
from automation.api.permissions import require
from automation.api.strict import NamedRows, NumberedRow, StrictModel
from automation.belonging import GroupTree, candidates, members_of
from automation.models import Group, Target
from credentials.models import Credential


class GroupSerializer(StrictModel):
    """A group. `parents` are those it lies in; its `targets` are counted through groups and queries too."""

    parents = NamedRows(slug_field="name", queryset=Group.objects.all(), many=True, required=False)
    children = serializers.SlugRelatedField(slug_field="name", many=True, read_only=True)  # type: ignore[var-annotated]
    variables = Variables(required=False)
    credential = NumberedRow(queryset=Credential.objects.all(), allow_null=True, required=False)
    targets = serializers.SerializerMethodField()

    class Meta:
        model = Group
        fields = (
            "id",
            "name",
            "description",
            "parents",
            "children",
            "query",
            "variables",
            "credential",
            "targets",
        )

    def get_targets(self, group: Group) -> int:
        sizes: dict[str, int] = self.context["sizes"]()
        return sizes.get(group.name, 0)

    def create(self, validated_data: dict[str, Any]) -> Group:
        return self._stored(Group(), validated_data)

    def update(self, instance: Group, validated_data: dict[str, Any]) -> Group:
        return self._stored(instance, validated_data)

    @transaction.atomic
    def _stored(self, group: Group, values: dict[str, Any]) -> Group:
        """Raises CircleError, and then nothing is stored."""
        # Of two changes at once that together make a circle, the second waits here and sees the first.
        list(Group.objects.select_for_update().order_by("pk").values_list("pk"))
        parents = values.pop("parents", None)
        self.saved(group, values)
        if parents is not None:
            group.parents.set(parents)
        GroupTree.load()
        return Group.objects.with_nesting().get(pk=group.pk)


def _sizes() -> dict[str, int]:
    """How many targets each group has that has any: one look at all targets serves a whole answer."""
    found = candidates(Target.objects.prefetch_related("groups"))
    return {name: len(members) for name, members in members_of(found).items()}


class GroupViews(Inventory):
    """Groups; a target is put into one by the target's `groups`."""

    serializer_class = GroupSerializer
    list_keys = ("search",)
    page_order = ("name", "pk")

    def get_queryset(self) -> Any:
        return self.searched(Group.objects.with_nesting())

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "sizes": cache(_sizes)}

    def perform_create(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def perform_update(self, serializer: Any) -> None:
        self._may_use_credential(serializer)
        serializer.save()

    def _may_use_credential(self, serializer: Any) -> None:
        if serializer.validated_data.get("credential") is not None:
            require(self.request, "credentials:write")
