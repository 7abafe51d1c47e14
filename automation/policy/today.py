"""The policy in force: the file that OPSPORTAL_POLICY names."""

from django.conf import settings

from automation.policy.rules import Policy, load_policy


def policy_today() -> Policy:
    """Raises ValueError when the file is broken, OSError when it is gone: then nothing may start."""
    return load_policy(settings.OPSPORTAL_POLICY)
