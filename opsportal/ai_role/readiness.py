"""What the AI service needs beyond its database: an automation service that lets it in."""

from collections.abc import Callable
from itertools import islice

from django.conf import settings

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError, NotAuthenticatedError, NotPermittedError

LONGEST_SECONDS = 3.0


def automation_trouble() -> str:
    """Why nothing can be planned or submitted now. Without address or token: anybody may ask for it."""
    url, token = settings.AUTOMATION_URL, settings.AUTOMATION_TOKEN
    with AutomationClient(url, token, timeout=LONGEST_SECONDS) as client:
        try:
            next(islice(client.targets(), 1), None)
        except NotAuthenticatedError:
            return (
                "the automation service refuses the token: it is unknown, expired or revoked; make a new one "
                "there with `./ops manage create_token` and set OPSPORTAL_AUTOMATION_TOKEN"
            )
        except NotPermittedError:
            return "the automation service refuses the token: it needs inventory:read, runs:read, runs:submit"
        except AutomationError as error:
            told = f"it answered with status {error.status}" if error.status else "it cannot be reached"
            return f"the automation service: {told}; check OPSPORTAL_AUTOMATION_URL and that it runs"
        if not client.health().ready:
            return "the automation service runs but is not ready: its own /readyz says why"
    return ""


CHECKS: dict[str, Callable[[], str]] = {"automation": automation_trouble}
