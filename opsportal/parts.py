"""What each role (OPSPORTAL_ROLE) installs, serves and runs.

Dotted names, loaded where they are used: a process of one role never loads the tables of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one role. `urls` are pairs of a prefix and the module that is included there."""

    port: int
    apps: tuple[str, ...]
    urls: tuple[tuple[str, str], ...]
    authentication: tuple[str, ...]
    application: str
    server: str
    readiness: str
    lease_watch: str
    middleware: tuple[str, ...] = ()
    throttles: tuple[str, ...] = ()  # the AI service's callers are counted by the service that it asks
    verify_keys: str = ""
    installation: str = ""  # what can be frozen
    first_workflows: str = ""  # what puts them on the shelf of a new portal
    workers: bool = True
    # Template libraries that stand in for those of an app that is not there.
    libraries: Mapping[str, str] | None = None
    # Commands of the frame that speak of what is not there.
    without: tuple[str, ...] = ()


_QUEUE: Final = "django_q"
_AUTOMATION_URLS: Final = (
    ("", "opsportal.metrics"),
    ("api/v1/", "opsportal.openapi.urls"),
    ("api/v1/", "automation.api.urls"),
    ("", "automation.dashboard.urls"),
)
_AI_URLS: Final = (("api/v1/", "aiworkflows.api.urls"), ("", "aiworkflows.dashboard.urls"))
_AUTHENTICATION: Final = tuple(
    f"automation.api.authentication.{name}Authentication" for name in ("Bearer", "InProcess", "Session")
)
_MEASURED: Final = ("opsportal.metrics.ApiLatency",)
_LIMITED: Final = ("automation.api.limits.RequestsPerMinute",)

ALL: Final = Parts(
    port=3003,
    apps=(_QUEUE, "opsportal.apps.OpsPortalConfig", "credentials", "automation", "aiworkflows"),
    urls=(*_AUTOMATION_URLS, *_AI_URLS),
    authentication=_AUTHENTICATION,
    application="opsportal.asgi:application",
    server="opsportal.web_server.WebServer",
    readiness="opsportal.readiness.CHECKS",
    lease_watch="opsportal.lease_watch.LeaseWatch",
    middleware=_MEASURED,
    throttles=_LIMITED,
    verify_keys="opsportal.key_checks.keys_fit",
    installation="automation.models.Installation",
    first_workflows="opsportal.runbooks.publish_runbooks",
)
AUTOMATION: Final = Parts(
    port=3003,
    apps=(_QUEUE, "opsportal.apps.OpsPortalConfig", "credentials", "automation"),
    urls=_AUTOMATION_URLS,
    authentication=_AUTHENTICATION,
    application=ALL.application,
    server=ALL.server,
    readiness=ALL.readiness,
    lease_watch=ALL.lease_watch,
    middleware=ALL.middleware,
    throttles=ALL.throttles,
    verify_keys=ALL.verify_keys,
    installation=ALL.installation,
    first_workflows=ALL.first_workflows,
    libraries={"proposals": "opsportal.no_proposals"},
    without=("demo",),
)
AI: Final = Parts(
    port=3005,
    apps=("opsportal.ai_role.apps.AiRoleConfig", "aiworkflows"),
    urls=(*_AI_URLS, ("", "opsportal.ai_role.urls")),
    authentication=(
        "aiworkflows.api.authentication.PassedOnAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ),
    application="opsportal.ai_role.asgi:application",
    server="uvicorn.Server",
    readiness="opsportal.ai_role.readiness.CHECKS",
    lease_watch="opsportal.watches.NoLeases",
    workers=False,
    without=("backup", "restore", "unfreeze", "rotate_credentials", "opsworker", "demo", "publish_runbooks"),
)
ROLES: Final[Mapping[str, Parts]] = {"all": ALL, "automation": AUTOMATION, "ai": AI}
