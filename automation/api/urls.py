"""Addresses of the API, version 1."""

from rest_framework.routers import SimpleRouter

from automation.api.credentials import CredentialViews
from automation.api.environment_defaults import EnvironmentDefaultViews
from automation.api.inventory import GroupViews, HostKeyViews, TargetViews
from automation.api.runs import RunViews
from automation.api.tokens import TokenViews
from automation.api.workflows import WorkflowViews

router = SimpleRouter()
router.register("targets", TargetViews, "target")
router.register("groups", GroupViews, "group")
router.register("environment-defaults", EnvironmentDefaultViews, "environment-default")
router.register("credentials", CredentialViews, "credential")
router.register("host-keys", HostKeyViews, "host-key")
router.register("workflows", WorkflowViews, "workflow")
router.register("runs", RunViews, "run")
router.register("tokens", TokenViews, "token")

urlpatterns = router.urls
