"""Whether this portal is frozen, asked of whatever our role has that can be."""

from django.conf import settings
from django.utils.module_loading import import_string


def frozen_now() -> str:
    """Why nothing may be run or submitted now; empty when all goes its way, or nothing runs here anyway.

    Raises DatabaseError when it cannot be asked.
    """
    where = settings.PARTS.installation
    return str(import_string(where).frozen()) if where else ""
