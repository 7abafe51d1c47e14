"""Addresses of the API, version 1."""

from rest_framework.routers import SimpleRouter

from automation.api.credentials import CredentialViews
from automation.api.environment_defaults import EnvironmentDefaultViews
from automation.api.files import FileViews
from automation.api.groups import GroupViews
from automation.api.host_keys import AuthorityViews, HostKeyViews
from automation.api.inventory import TargetViews
from automation.api.inventory_files import InventoryFileViews
from automation.api.libraries import LibraryViews
from automation.api.me import MeViews
from automation.api.runs import RunViews
from automation.api.tokens import TokenViews
from automation.api.workflows import WorkflowViews

router = SimpleRouter()
router.register("targets", TargetViews, "target")
router.register("groups", GroupViews, "group")
router.register("inventory", InventoryFileViews, "inventory")
router.register("environment-defaults", EnvironmentDefaultViews, "environment-default")
router.register("credentials", CredentialViews, "credential")
router.register("host-keys", HostKeyViews, "host-key")
router.register("host-certificate-authorities", AuthorityViews, "host-certificate-authority")
router.register("workflows", WorkflowViews, "workflow")
router.register("files", FileViews, "file")
router.register("runs", RunViews, "run")
router.register("tokens", TokenViews, "token")
router.register("libraries", LibraryViews, "library")
router.register("me", MeViews, "me")

urlpatterns = router.urls
