"""What must be true before any process of ours does its work."""

from django.core.management.base import CommandError
from django.db import DatabaseError, connection

from credentials.canary import verify_keys
from credentials.keys import KeysUnusable
from opsportal.database_trouble import in_words, trouble


def require_database() -> None:
    """Raises CommandError, with the next step, unless the database answers and may be worked on."""
    try:
        problem = trouble()
    except DatabaseError as error:
        if connection.vendor == "sqlite":
            raise
        # The driver's own words name server and user, never the password.
        raise CommandError(
            f"DATABASE_URL: {in_words(error)}. The driver says: {' '.join(str(error).split())}"
        ) from None
    if problem:
        raise CommandError(f"DATABASE_URL: {problem}.")


def require_keys() -> None:
    """Raises CommandError, with the next step, unless the configured keys are those of this database."""
    require_database()
    try:
        verify_keys()
    except KeysUnusable as error:
        raise CommandError(str(error)) from error
