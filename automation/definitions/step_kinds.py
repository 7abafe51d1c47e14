"""What a step may have beside its scripts: a rule for trying again, and the kinds that need no script."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from automation.definitions.durations import Seconds
from automation.definitions.parameter_types import Text

MAX_TRIES = 10
MAX_DOWNLOAD = 64 * 1024 * 1024
FILE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
OWNER_PATTERN = rf"^(?:{_NAME}(?::{_NAME})?)?$"
MAX_DELAY = 3600
MAX_REBOOT = 7200
RetryOn = Literal["failed", "timed_out", "unreachable"]

REBOOT_BASH = "systemctl reboot || shutdown -r now || reboot"
REBOOT_POWERSHELL = "Restart-Computer -Force"


class Part(BaseModel):
    """A part of a definition: fixed once read, without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def at_most(limit: int) -> AfterValidator:
    """Whole seconds from 0 to `limit`."""

    def check(seconds: int) -> int:
        if seconds > limit:
            raise ValueError(f"must be at most {_lasting(limit)}")
        return seconds

    return AfterValidator(check)


def positive(seconds: int) -> int:
    """At least one second."""
    if seconds < 1:
        raise ValueError("must be at least 1s")
    return seconds


def _lasting(seconds: int) -> str:
    return f"{seconds // 86400}d" if seconds % 86400 == 0 else f"{seconds // 3600}h"


class Retry(Part):
    """How often a step's run body is tried in all, how long after an end the next try comes, and after which
    ends. Only what is known to have ended is tried again."""

    attempts: Annotated[StrictInt, Field(ge=2, le=MAX_TRIES)]
    delay: Annotated[Seconds, at_most(MAX_DELAY)] = 0
    on: Annotated[tuple[RetryOn, ...], Field(min_length=1, max_length=3)] = Field(
        default=("failed", "timed_out", "unreachable"), validate_default=True
    )


def _check_place(path: str) -> str:
    parts = path.split("/")
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise ValueError("must be an absolute path of a file, in one line")
    if ".." in parts or "." in parts:
        raise ValueError("must not hold the parts . or ..")
    return path


class Upload(Part):
    """Put a file of the portal (the newest of that name when the plan is frozen) in place on the target.

    Without an owner it belongs to the login, or with become to root.
    """

    file: Annotated[Text, Field(pattern=FILE_NAME_PATTERN)]
    to: Annotated[Text, Field(max_length=1000), AfterValidator(_check_place)]
    mode: Annotated[Text, Field(pattern=r"^[0-7]{3,4}$")] = "0644"
    owner: Annotated[Text, Field(pattern=OWNER_PATTERN)] = ""


class Download(Part):
    """Keep a copy of the target's file in the portal, when it has `limit` bytes at most."""

    source: Annotated[Text, Field(max_length=1000, alias="from"), AfterValidator(_check_place)]
    limit: Annotated[StrictInt, Field(ge=1, le=MAX_DOWNLOAD)] = 10 * 1024 * 1024

    model_config = ConfigDict(serialize_by_alias=True)


class Reboot(Part):
    """Restart the target and wait until it is back, which a new boot id shows. The time holds for both."""

    timeout: Annotated[Seconds, AfterValidator(positive), at_most(MAX_REBOOT)] = 600
