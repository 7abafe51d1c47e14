"""Which automation service a request speaks to: the one in this process, or one elsewhere."""

from typing import Any

from django.conf import settings

from aiworkflows.automation_client import AutomationClient
from aiworkflows.in_process import in_process_client
from aiworkflows.passed_on import PassedOnToken


def automation_for(principal: Any, auth: Any = None) -> AutomationClient:
    """Give a client that acts for `principal`, with the rights of the token `auth` it came with.

    With the settings AUTOMATION_URL and AUTOMATION_TOKEN (AUTOMATION_TIMEOUT: seconds a call) the service is
    elsewhere. A token of its own that came with the request goes on with it, so its owner asks there as here.
    For whoever is signed in here it knows this service alone, by AUTOMATION_TOKEN: runs are submitted by that
    token's owner and name the person who typed the sentence. Neither of the two can approve there.
    """
    url = getattr(settings, "AUTOMATION_URL", "")
    if url:
        configured = getattr(settings, "AUTOMATION_TOKEN", None)
        token = auth.text if isinstance(auth, PassedOnToken) else configured
        return AutomationClient(url, token, timeout=getattr(settings, "AUTOMATION_TIMEOUT", 10.0))
    return in_process_client(principal, auth=auth)
