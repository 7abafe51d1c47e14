from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

from automation.roles import ROLES


class AutomationConfig(AppConfig):
    name = "automation"

    def ready(self) -> None:
        post_migrate.connect(make_role_groups, sender=self, dispatch_uid="automation.roles")


def make_role_groups(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Every database has the roles' groups from its first migration on."""
    groups = apps.get_model("auth", "Group").objects.using(using)
    for name in ROLES:
        groups.get_or_create(name=name)
