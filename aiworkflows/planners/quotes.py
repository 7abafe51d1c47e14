"""Text that a request quotes, and files it names: what is looked for, not what shall be done."""

import re
from typing import Final

QUOTED: Final = re.compile(r"\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|(?<!\w)'([^']+)'(?!\w)")
LOG_FILE: Final = re.compile(r"/var/log/[A-Za-z0-9_.@/-]*[A-Za-z0-9_@-]")
_SEARCHING: Final = re.compile(
    r"\b(s(ea|er)a?rch|grep|find|look|seek|scan|contain|mention|match|logs?|logged|journal|iis|(web)?sites?)"
)


def without_quotes(request: str) -> str:
    """Put "quoted-text" for what a search looks for or a site is called, "log-file" for a file in /var/log.

    Elsewhere quotes may hold names (restart "nginx"), so there they stay.
    """
    text = LOG_FILE.sub(" log-file ", request)
    if _SEARCHING.search(QUOTED.sub(" ", text).lower()):
        text = QUOTED.sub(" quoted-text ", text)
    return text


def quoted(request: str) -> str | None:
    """Give the first text that a request quotes."""
    found = QUOTED.search(request)
    return next((group for group in found.groups() if group), None) if found else None
