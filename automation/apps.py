from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AutomationConfig(AppConfig):
    name = "automation"

    def ready(self) -> None:
        post_migrate.connect(make_role_groups, sender=self, dispatch_uid="automation.roles")


def make_role_groups(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Roles are Django groups; every database has them from its first migration on."""
    # Models cannot be imported before the apps are loaded, and this module is imported to load one.
    from django.contrib.auth.models import Group

    from automation.models.access import ROLES

    for name in ROLES:
        Group.objects.using(using).get_or_create(name=name)
