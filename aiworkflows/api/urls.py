"""Addresses of the proposals; the frame includes them at `/api/v1/`."""

from rest_framework.routers import SimpleRouter

from aiworkflows.api.views import ProposalViews

router = SimpleRouter()
router.register("proposals", ProposalViews, "proposal")

urlpatterns = router.urls
