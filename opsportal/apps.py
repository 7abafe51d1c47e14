"""The frame as a Django app."""

from django.apps import AppConfig


class OpsPortalConfig(AppConfig):
    name = "opsportal"
