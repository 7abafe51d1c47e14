"""The frame as a Django app."""

from django.apps import AppConfig, apps
from django.contrib import admin
from django_q.signing import SignedPackage

from automation.workers import task_packages
from opsportal import checks, database_checks, role_checks  # noqa: F401  they register themselves


class OpsPortalConfig(AppConfig):
    name = "opsportal"

    def ready(self) -> None:
        # Every process that loads the settings, so also each worker, reads and writes JSON only.
        SignedPackage.dumps = staticmethod(task_packages.pack_for_django_q)
        SignedPackage.loads = staticmethod(task_packages.unpack)
        # django-q2's pages unpickle what is in its tables and offer to run it again.
        for model in apps.get_app_config("django_q").get_models():
            if admin.site.is_registered(model):
                admin.site.unregister(model)
