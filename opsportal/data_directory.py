"""The directory that holds an installation's state: database, keys (`.env`) and logs."""

import errno
import os
import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values

from opsportal.env_readers import EnvReader, SettingError

SECRET_NAMES = ("OPSPORTAL_SECRET_KEY", "OPSPORTAL_ENCRYPTION_KEYS")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the kernel says of a disk, or of our part of it, that has no room."""
HEADER = """\
# Made at the first start. Keep a copy of this file in a safe place, apart from the database's:
# without the encryption key the stored credentials cannot be read by anybody.
"""


def data_directory(environment: Mapping[str, str]) -> Path:
    """OPSPORTAL_DATA, or `var/` beside the code."""
    return EnvReader(environment).path("OPSPORTAL_DATA", Path(__file__).resolve().parent.parent / "var")


def read_env_file(data_dir: Path) -> dict[str, str]:
    """Variables of DIR/.env; none when there is no such file. Refuses a file that others may read."""
    file = data_dir / ".env"
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return {}
    if mode & 0o077:
        raise SettingError(f"{file} holds keys and others may read it: chmod 600 {file}")
    return {name: value or "" for name, value in dotenv_values(file, interpolate=False).items()}


def read_keys(env: EnvReader, data_dir: Path) -> tuple[str, list[str]]:
    """The secret key and the encryption keys. Raises SettingError when one is missing or malformed."""
    secret_key, encryption_keys = env.secret(SECRET_NAMES[0]), env.secrets(SECRET_NAMES[1])
    for name, value in zip(SECRET_NAMES, (secret_key, encryption_keys), strict=True):
        if not value:
            file = data_dir / ".env"
            raise SettingError(f"{name} is not set. `./ops up` makes it at the first start, in {file}.")
    for number, key in enumerate(encryption_keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            raise SettingError(
                f"Key {number} of {SECRET_NAMES[1]} is not a Fernet key: 32 bytes as URL-safe base64."
            ) from None
    return secret_key, encryption_keys


def keys_for_restore(arguments: Sequence[str], data_dir: Path) -> dict[str, str]:
    """The keys of the file that `--keys` names, as variables. Raises SettingError.

    They count for this process at once; the restore keeps them when it has succeeded.
    """
    named = [after for before, after in pairwise(arguments) if before == "--keys"]
    named += [each.partition("=")[2] for each in arguments if each.startswith("--keys=")]
    if not named:
        if (data_dir / ".env").exists() or os.environ.get(SECRET_NAMES[0]):
            return {}
        raise SettingError(
            f"{data_dir} has no keys yet, and a backup holds none: give the file that holds them "
            "by --keys FILE (a copy of the old DIR/.env, or what `backup --keys` wrote)."
        )
    try:
        found = dotenv_values(named[-1], interpolate=False)
    except OSError as error:
        raise SettingError(f"{named[-1]} cannot be read: {error.strerror}.") from None
    if missing := [name for name in SECRET_NAMES if not found.get(name)]:
        raise SettingError(f"{named[-1]} holds no {missing[0]}: it is not a file of keys.")
    return {name: found[name] or "" for name in SECRET_NAMES}


def prepare(data_dir: Path, environment: Mapping[str, str]) -> None:
    """Make the directory and, unless the environment brings its own keys, a `.env` with new ones.

    Never makes keys for a database that was there before: they could not read it.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"The data directory {data_dir} cannot be made: {error.strerror}.") from None
    missing = [
        name for name in SECRET_NAMES if not (environment.get(name) or environment.get(f"{name}_FILE"))
    ]
    file = data_dir / ".env"
    if not missing or file.exists():
        return
    if (data_dir / "opsportal.sqlite3").exists():
        raise SettingError(
            f"{data_dir} holds a database but {file} is gone: put the keys back from a backup."
        )
    # Two independent keys: whoever learns the one that signs cookies cannot read the credentials.
    new = {SECRET_NAMES[0]: secrets.token_urlsafe(64), SECRET_NAMES[1]: Fernet.generate_key().decode()}
    try:
        write_private(file, HEADER + "".join(f"{name}={new[name]}\n" for name in missing))
    except OSError as error:
        why = "the disk is full" if error.errno in FULL else error.strerror
        raise SettingError(f"{file} cannot be written: {why}. Mend that, then start again.") from None


def write_private(file: Path, content: str, *, replace: bool = False) -> None:
    """Whole or not at all, readable by its owner only, on the disk before anything is encrypted with it.

    Without `replace`, a file that is there already stays as it is.
    """
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        draft.unlink()  # half of it is of no use, and holds a secret
        raise
    if replace:
        draft.replace(file)
    else:
        try:
            os.link(draft, file)  # unlike a rename, it loses against a second `up` that was faster
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
