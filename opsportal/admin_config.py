"""The administration pages as an app: Django's own, on our site."""

from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    default = False
    default_site = "opsportal.admin_site.PortalAdminSite"
