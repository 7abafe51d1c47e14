"""Default credentials of environments."""

from __future__ import annotations

from typing import Any, ClassVar

from automation.api.credentials import SCOPES
from automation.api.inventory import Inventory
from automation.api.strict import NumberedRow, StrictModel, Text
from automation.models import EnvironmentDefault
from credentials.models import Credential


class EnvironmentDefaultSerializer(StrictModel):
    """The credential of an environment's targets that have none of their own or of a group."""

    environment = Text(max_length=50)
    credential = NumberedRow(queryset=Credential.objects.all())

    class Meta:
        model = EnvironmentDefault
        fields = ("id", "environment", "credential")
        validators: ClassVar[list[Any]] = []

    def create(self, validated_data: dict[str, Any]) -> Any:
        return self.saved(EnvironmentDefault(), validated_data)

    def update(self, instance: EnvironmentDefault, validated_data: dict[str, Any]) -> Any:
        return self.saved(instance, validated_data)


class EnvironmentDefaultViews(Inventory):
    """Defaults of environments; changing them needs credentials:write."""

    serializer_class = EnvironmentDefaultSerializer
    page_order = ("environment", "pk")
    scopes = SCOPES

    def get_queryset(self) -> Any:
        return self.visible(EnvironmentDefault.objects.all())
