"""The encryption keys as they are kept: in DIR/.env, in a file of their own, or in the environment."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from opsportal.data_directory import SECRET_NAMES, read_env_file, write_private
from opsportal.env_readers import EnvReader, SettingError

NAME = SECRET_NAMES[1]
logger = logging.getLogger(__name__)
_LINE = re.compile(rf"^(?:export\s+)?{NAME}\s*=.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The file that holds the keys: a line of DIR/.env, or nothing else than the keys."""

    path: Path
    is_env: bool

    def read(self) -> list[str]:
        """The keys. Raises SettingError."""
        if self.is_env:
            return EnvReader(read_env_file(self.path.parent)).secrets(NAME)
        return EnvReader({f"{NAME}_FILE": str(self.path)}).secrets(NAME)

    def write(self, keys: list[str]) -> None:
        """Put these keys in place of the ones there are, whole or not at all; all else stays as it is.

        Raises OSError where the file cannot be written.
        """
        if not self.is_env:
            write_private(self.path, "".join(f"{key}\n" for key in keys), replace=True)
            return
        before = self.path.read_text(encoding="utf-8")
        line = f"{NAME}={','.join(keys)}"
        write_private(self.path, _LINE.sub(lambda _: line, before, count=1), replace=True)

    def mark(self) -> tuple[int, ...]:
        """What differs after each change. Raises OSError."""
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size


def key_file(environment: Mapping[str, str], data_dir: Path) -> KeyFile | None:
    """Where the keys are kept; None when the environment itself holds them."""
    if environment.get(NAME):
        return None
    of_env_file = read_env_file(data_dir)
    if path := environment.get(f"{NAME}_FILE") or of_env_file.get(f"{NAME}_FILE"):
        return KeyFile(Path(path).absolute(), is_env=False)
    return KeyFile(data_dir / ".env", is_env=True) if of_env_file.get(NAME) else None


class LiveKeys(list[str]):
    """The keys of a file, read anew after each change of it: a key is added without a restart.

    Each process looks whenever it uses a key, so nobody meets a secret under a key that was put in place
    before the secret was written. Keys that cannot be read leave the ones there were, and are logged.
    """

    def __init__(self, keys: list[str], file: KeyFile) -> None:
        super().__init__(keys)
        self.file = file
        self._mark: tuple[int, ...] = ()

    def refresh(self) -> None:
        """Be what the file holds now."""
        try:
            mark = self.file.mark()
            if mark == self._mark:
                return
            keys = self.file.read()
            for key in keys:
                Fernet(key)
        except (OSError, ValueError, SettingError):
            logger.warning("the encryption keys cannot be read; the known ones stay in use")
            return
        if keys:
            self[:], self._mark = keys, mark


def live_keys(keys: list[str], data_dir: Path) -> list[str]:
    """The keys as settings hold them: they follow their file where there is one."""
    file = key_file(os.environ, data_dir)
    return keys if file is None else LiveKeys(keys, file)
