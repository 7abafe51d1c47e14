"""Which automation service a request speaks to: the one in this process, or one elsewhere."""

from typing import Any

from django.conf import settings

from aiworkflows.automation_client import AutomationClient


def automation_for(principal: Any, auth: Any = None) -> AutomationClient:
    """Give a client that acts for `principal`, with the rights of the token `auth` it came with.

    With the settings AUTOMATION_URL and AUTOMATION_TOKEN (AUTOMATION_TIMEOUT: seconds a call) the service is
    elsewhere and knows this one by that token alone: runs are submitted by the token's owner, and name the
    person who typed the sentence.
    """
    url = getattr(settings, "AUTOMATION_URL", "")
    if url:
        token = getattr(settings, "AUTOMATION_TOKEN", None)
        return AutomationClient(url, token, timeout=getattr(settings, "AUTOMATION_TIMEOUT", 10.0))
    return AutomationClient.in_process(principal, auth=auth)
