"""Telling a database that cannot be worked with at the moment from a fault of ours."""

from django.db import InterfaceError, OperationalError, connection

# SQLite has one class for all of these and for much that is a mistake in a query. Its words, and ours.
SQLITE_TROUBLES = (
    ("disk is full", "the portal's disk is full"),
    ("is locked", "the database is busy with other writing"),
    ("unable to open", "the database file cannot be opened"),
    ("disk I/O error", "the portal's disk fails"),
    ("readonly", "the database file cannot be written to"),
)
AWAY = "the database cannot be reached"


def why_away(error: BaseException | None) -> str:
    """Why the database cannot be worked with now; empty where `error` is about anything else.

    Without names, addresses or users: anybody may be told.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return ""
    if connection.vendor != "sqlite":
        return AWAY
    said = str(error)
    return next((words for sign, words in SQLITE_TROUBLES if sign in said), "")
