"""The frame as a Django app, without queue and workers."""

from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

from automation.roles import ROLES
from opsportal import checks, database_checks, role_checks  # noqa: F401  they register themselves


class AiRoleConfig(AppConfig):
    name = "opsportal"

    def ready(self) -> None:
        # The frame has no tables, so it is never told of a migration; the app that has some is.
        sender = apps.get_app_config("aiworkflows")
        post_migrate.connect(make_role_groups, sender=sender, dispatch_uid="opsportal.ai_role.roles")


def make_role_groups(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """The same roles as at the automation service: who may ask is decided here, what may be done there."""
    groups = apps.get_model("auth", "Group").objects.using(using)
    for name in ROLES:
        groups.get_or_create(name=name)
