"""Which portal is spoken to and with which token: from the environment or the file that `login` writes."""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_transport import checked_base_url
from opsportal.commandline.exits import UsageError

LOGIN = "Run `login`, or set OPSPORTAL_URL and OPSPORTAL_TOKEN."


@dataclass(frozen=True, slots=True)
class Connection:
    """A portal's address and a token for it, which is shown nowhere."""

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            checked_base_url(self.url)
        except ValueError as error:
            raise UsageError(
                f"The portal's address is wrong: {error}", "Give one like https://portal:3003."
            ) from None
        # A header takes nothing else; the error would otherwise show the token.
        if not self.token or not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise UsageError("The token is empty or holds characters that no token has.", LOGIN)

    def client(self) -> AutomationClient:
        return AutomationClient(self.url, self.token)


def config_file(environment: Mapping[str, str]) -> Path:
    """Where `login` writes: below XDG_CONFIG_HOME, or ~/.config."""
    home = environment.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "opsportal" / "config.toml"


def find_connection(environment: Mapping[str, str]) -> Connection:
    """The environment's portal and token, where they are set, else the file's. Raises UsageError.

    The file's token goes to the file's portal alone, never to another one that the environment names.
    """
    url, token = environment.get("OPSPORTAL_URL"), environment.get("OPSPORTAL_TOKEN")
    if url and token:
        return Connection(url, token)
    stored = read_config(config_file(environment))
    if stored is None:
        missing = "OPSPORTAL_TOKEN" if url else "OPSPORTAL_URL" if token else "a portal and a token"
        raise UsageError(f"There is no connection: {missing} is not known.", LOGIN)
    if token:
        return Connection(stored.url, token)
    if url and checked_base_url(stored.url) != url.rstrip("/"):
        raise UsageError(
            f"OPSPORTAL_URL is {url}, and the stored token is for {stored.url}.",
            "Set OPSPORTAL_TOKEN too, or run `login` for that portal.",
        )
    return stored


def read_config(path: Path) -> Connection | None:
    """What `login` stored; None when it never did. UsageError when others may read it, or it is broken."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise UsageError(f"Others may read {path}, which holds a token.", f"chmod 600 {path}")
            found = tomllib.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", LOGIN) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UsageError(f"{path} is not TOML.", "Run `login` again; it writes the file anew.") from None
    url, token = found.get("url"), found.get("token")
    if not isinstance(url, str) or not isinstance(token, str):
        raise UsageError(f"{path} names no url and token.", "Run `login` again; it writes the file anew.")
    return Connection(url, token)


def write_config(path: Path, connection: Connection) -> None:
    """Store the connection, for its owner's eyes; a file that was there is replaced as a whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    # A JSON string of ASCII is a TOML string.
    text = f"url = {json.dumps(connection.url)}\ntoken = {json.dumps(connection.token)}\n"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
