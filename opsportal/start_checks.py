"""What must be true before any process of ours does its work."""

from django.core.management.base import CommandError

from credentials.canary import verify_keys
from credentials.keys import KeysUnusable


def require_keys() -> None:
    """Raises CommandError, with the next step, unless the configured keys are those of this database."""
    try:
        verify_keys()
    except KeysUnusable as error:
        raise CommandError(str(error)) from error
