"""System checks of OPSPORTAL_ROLE: a role that is configured by half refuses the start."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from aiworkflows.client_transport import checked_base_url

HOW_TO_MAKE_ONE = (
    "At the automation service: `./ops manage create_token NAME --user OWNER --kind ai "
    "--scope inventory:read runs:read runs:submit`."
)


@register
def role(app_configs: Iterable[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """The settings alone; whether the automation service lets us in is told by /readyz."""
    url, token = settings.AUTOMATION_URL, settings.AUTOMATION_TOKEN
    if settings.ROLE == "ai":
        return [*_url_problems(url), *_token_problems(token)]
    if not url and not token:
        return []
    return [
        Error(
            f"OPSPORTAL_AUTOMATION_URL or OPSPORTAL_AUTOMATION_TOKEN is set, but OPSPORTAL_ROLE is "
            f"{settings.ROLE}: this service is its own automation service.",
            hint="Set OPSPORTAL_ROLE=ai where sentences are typed, or unset both here.",
            id="opsportal.E020",
        )
    ]


def _url_problems(url: str) -> Iterator[CheckMessage]:
    if not url:
        yield Error(
            "OPSPORTAL_ROLE is ai, but OPSPORTAL_AUTOMATION_URL is not set: nothing could be planned or run.",
            hint="Set it to the automation service's address, like https://automation.example.org.",
            id="opsportal.E021",
        )
        return
    try:
        parts = urlsplit(checked_base_url(url))
        port = parts.port
    except ValueError:
        yield Error(
            "OPSPORTAL_AUTOMATION_URL is not a plain http or https address.",
            hint="Write it like https://automation.example.org:3003: no user, password, query or fragment.",
            id="opsportal.E022",
        )
        return
    local = _is_loopback(parts.hostname or "")
    if local and port == settings.PORT:
        yield Error(
            "OPSPORTAL_AUTOMATION_URL is our own address.",
            hint="Name the automation service's (port 3003 by default), or give one of both another port.",
            id="opsportal.E023",
        )
    if parts.scheme == "http" and not local:
        yield Warning(
            "OPSPORTAL_AUTOMATION_URL is plain http: whoever listens on the way learns the token.",
            hint="Put TLS before the automation service and write https.",
            id="opsportal.W003",
        )


def _token_problems(token: str) -> Iterator[CheckMessage]:
    if not token:
        yield Error(
            "OPSPORTAL_ROLE is ai, but OPSPORTAL_AUTOMATION_TOKEN is not set: the automation service would "
            "refuse us.",
            hint=f"{HOW_TO_MAKE_ONE} Put it into a file that OPSPORTAL_AUTOMATION_TOKEN_FILE names.",
            id="opsportal.E024",
        )
    elif not (token.startswith("ops_") and token.isascii() and token.isprintable() and " " not in token):
        yield Error(
            "OPSPORTAL_AUTOMATION_TOKEN is not one of our tokens, which are one word that starts with ops_.",
            hint=HOW_TO_MAKE_ONE,
            id="opsportal.E025",
        )


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
