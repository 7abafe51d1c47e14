"""Inventory files as JSON: `{"hosts": [{"name", "address", "user", …}]}`, read row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from automation.addresses import check_username
from automation.definitions.errors import ParameterError, did_you_mean
from automation.definitions.parameters import check_variables
from automation.host_key_lines import read_host_key
from credentials.secret import Secret

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_KEY_BYTES = 64 * 1024
MAX_ROWS = 50_000
IGNORED = ("jump", "page")
# What goes into the target as it stands.
PLAIN = ("address", "port", "platform", "transport", "tags", "environment", "variables")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_TEXT = (_is_text, "text")
_TEXTS = (_are_texts, "a list of texts")
KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": _TEXT,
    "address": _TEXT,
    "port": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "user": _TEXT,
    "private_key": _TEXT,
    "password": _TEXT,
    "host_key": (lambda value: _is_text(value) or _are_texts(value), "a line, or a list of lines"),
    "platform": _TEXT,
    "transport": _TEXT,
    "groups": _TEXTS,
    "tags": _TEXTS,
    "environment": _TEXT,
    "role": _TEXT,
    "bastion": _TEXT,
    "variables": (lambda value: isinstance(value, dict), "an object"),
}


class InventoryError(ValueError):
    """The file cannot be imported; `errors` says which rows and why. Nothing was written."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors
        super().__init__("\n".join(errors))


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in, and a word for it. Never printed."""

    user: str
    kind: str
    secret: Secret
    word: str


@dataclass(frozen=True, slots=True)
class Row:
    """One target of the file; `fields` are those of the target that the file gives."""

    label: str
    name: str
    fields: dict[str, Any]
    groups: tuple[str, ...]
    host_keys: tuple[tuple[str, str], ...]
    bastion: str | None = None
    """The name of the target through which this one is reached: of this file, or known before."""
    login: Login | None = field(default=None, repr=False)


def read_inventory(file: Path) -> tuple[list[Row], list[str]]:
    """The rows of the file, and notices of what was ignored. Raises InventoryError with everything wrong."""
    data = _load(file)
    hosts = data.get("hosts")
    if not isinstance(hosts, list) or len(hosts) > MAX_ROWS:
        raise InventoryError([f'{file.name}: needs "hosts", a list of at most {MAX_ROWS} objects'])
    notices = [f"{key!r} is not read" for key in data if key != "hosts"]
    for key in IGNORED:
        if with_it := sum(isinstance(host, dict) and key in host for host in hosts):
            notices.append(f"{key!r} of {with_it} hosts is not read")
    reader = _Reader(file.parent)
    rows = [row for number, host in enumerate(hosts) if (row := reader.row(number, host)) is not None]
    if reader.errors:
        raise InventoryError(reader.errors)
    return rows, notices


def _load(file: Path) -> dict[str, Any]:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise InventoryError([f"{file}: {error.strerror}"]) from None
    if len(raw) > MAX_FILE_BYTES:
        raise InventoryError([f"{file.name}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB"])
    try:
        data = json.loads(raw)
    except json.JSONDecodeError as error:
        raise InventoryError([f"{file.name}, line {error.lineno}: not JSON: {error.msg}"]) from None
    except (UnicodeDecodeError, RecursionError):
        raise InventoryError([f"{file.name}: not JSON in UTF-8"]) from None
    if not isinstance(data, dict):
        raise InventoryError([f'{file.name}: needs an object with "hosts"'])
    return data


class _Reader:
    """Reads rows and collects what is wrong with them. No error quotes a value that may be a secret."""

    def __init__(self, folder: Path) -> None:
        self.errors: list[str] = []
        self._folder = folder
        self._seen: dict[str, str] = {}
        self._keys: dict[Path, Secret] = {}

    def row(self, number: int, host: Any) -> Row | None:
        name = host.get("name") if isinstance(host, dict) else None
        label = f"hosts[{number}] ({name})" if isinstance(name, str) else f"hosts[{number}]"
        if not isinstance(host, dict):
            self.errors.append(f"{label}: must be an object")
            return None
        found = [f"{label}: {text}" for text in (*_wrong(host), *self._repeated(name, label))]
        if found:
            self.errors += found
            return None
        row = Row(
            label=label,
            name=host["name"],
            fields={key: host[key] for key in PLAIN if key in host},
            groups=tuple(
                dict.fromkeys([*host.get("groups", []), *([host["role"]] if "role" in host else [])])
            ),
            host_keys=self._checked(label, lambda: _host_keys(host), ()),
            bastion=host.get("bastion"),
            login=self._checked(label, lambda: self._login(host), None),
        )
        self._checked(label, lambda: check_variables(host.get("variables", {})), {})
        return row

    def _checked(self, label: str, read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except ValidationError as error:
            self.errors.append(f"{label}: {' '.join(error.messages)}")
        except (ValueError, ParameterError) as error:
            self.errors.append(f"{label}: {error}")
        return otherwise

    def _repeated(self, name: Any, label: str) -> Iterator[str]:
        if isinstance(name, str):
            first = self._seen.setdefault(name.lower(), label)
            if first != label:
                yield f"name: the same as {first}"

    def _login(self, host: dict[str, Any]) -> Login | None:
        given = [key for key in ("private_key", "password") if key in host]
        if not given and "user" not in host:
            return None
        if len(given) != 1 or "user" not in host:
            raise ValueError("a login is user with either private_key (a path) or password")
        check_username(host["user"])
        if given == ["password"]:
            return Login(host["user"], "password", Secret(host["password"]), "password")
        path = self._folder / Path(host["private_key"]).expanduser()
        return Login(host["user"], "private_key", self._key(path), path.name)

    def _key(self, path: Path) -> Secret:
        if path not in self._keys:
            try:
                if path.stat().st_size > MAX_KEY_BYTES:
                    raise ValueError(f"private_key: {path} is too large for a key")
                self._keys[path] = Secret(path.read_text())
            except OSError as error:
                raise ValueError(f"private_key: {path}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise ValueError(f"private_key: {path} is not a key file") from None
        return self._keys[path]


def _wrong(host: dict[str, Any]) -> Iterator[str]:
    """Unknown and missing keys, and values of a wrong type."""
    for key, value in host.items():
        if key in KINDS:
            fits, kind = KINDS[key]
            if not fits(value):
                yield f"{key}: must be {kind}"
        elif key not in IGNORED:
            yield f"{key[:64]}: unknown key{did_you_mean(key, KINDS)}"
    for key in ("name", "address"):
        if key not in host:
            yield f"{key}: is missing"


def _host_keys(host: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    given = host.get("host_key", [])
    try:
        return tuple(read_host_key(line) for line in ([given] if isinstance(given, str) else given))
    except ValueError as error:
        raise ValueError(f"host_key: {error}") from None
