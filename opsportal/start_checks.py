"""What must be true before any process of ours does its work."""

import logging

from django.core.management.base import CommandError

from credentials.canary import named, unreadable_secrets, verify_keys
from credentials.keys import KeysUnusable

logger = logging.getLogger(__name__)


def require_keys() -> None:
    """Raises CommandError, with the next step, unless the configured keys are those of this database.

    A single secret that no key reads does not stop the start: it is named, and whoever uses it is refused.
    """
    try:
        verify_keys()
        if lost := unreadable_secrets():
            logger.error(
                "No configured key reads: %s. Add the key they were written with to the end of "
                "OPSPORTAL_ENCRYPTION_KEYS, or enter these secrets anew.",
                named(lost),
            )
    except KeysUnusable as error:
        raise CommandError(str(error)) from error
