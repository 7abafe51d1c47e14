"""What a shard has at hand for its targets."""

from __future__ import annotations

from dataclasses import dataclass

from automation.workers.local_files import LocalFiles
from automation.workers.logins import Logins


@dataclass(frozen=True, slots=True)
class Supplies:
    """Logins with what masks output, the plan's files, and whose spool it is on the targets."""

    logins: Logins
    files: LocalFiles
    installation: str
