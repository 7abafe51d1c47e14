"""The keys of a role that keeps credentials: asked at every start."""

import logging

from credentials.canary import named, unreadable_secrets, verify_keys

logger = logging.getLogger(__name__)


def keys_fit() -> None:
    """Raises KeysUnusable unless the configured keys are those of this database.

    A single secret that no key reads does not stop the start: it is named, and whoever uses it is refused.
    """
    verify_keys()
    if lost := unreadable_secrets():
        logger.error(
            "No configured key reads: %s. Add the key they were written with to the end of "
            "OPSPORTAL_ENCRYPTION_KEYS, or enter these secrets anew.",
            named(lost),
        )
