"""Rows of an inventory file: from plain data to targets and groups whose every value has been looked at."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime

from automation.addresses import check_username
from automation.definitions.errors import ParameterError, did_you_mean
from automation.definitions.parameters import check_variables
from automation.host_key_lines import read_host_key
from automation.inventory_files.mistakes import CORRECT_IT, InventoryError, Mistake, Place
from credentials.secret import Secret

MAX_KEY_BYTES = 64 * 1024
MAX_ROWS = 50_000
MAX_TAG = 100
_SURROGATE = re.compile(r"[\ud800-\udfff]")
IGNORED = ("jump", "page")
# What goes into the target as it stands.
PLAIN = ("address", "port", "platform", "transport", "winrm", "tags", "environment", "zone", "variables")
PLAIN_FLAGS = ("enabled", "maintenance", "maintenance_reason")
LOGINS = ("private_key", "client_certificate", "keytab", "password")
A_LOGIN = (
    "a login is user with one of private_key (a path), private_key and client_certificate (paths), keytab (a "
    "path), password"
)
USE_A_CREDENTIAL = "Make a credential in the portal and name it in the field credential."


def _is_text(value: object) -> bool:
    # JSON can spell what no database holds: NUL, and half of a surrogate pair.
    return isinstance(value, str) and bool(value) and "\x00" not in value and not _SURROGATE.search(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_tags(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(each) and len(each) <= MAX_TAG for each in value)


Kind = tuple[Callable[[object], bool], str]
_TEXT: Kind = (_is_text, "text")
_TEXTS: Kind = (_are_texts, "a list of texts")
_FLAG: Kind = (lambda value: isinstance(value, bool), "true or false")
_OBJECT: Kind = (lambda value: isinstance(value, dict), "an object")
_LINES: Kind = (lambda value: _is_text(value) or _are_texts(value), "a line, or a list of lines")
_WHOLE: Kind = (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number")
TARGET_KINDS: dict[str, Kind] = {
    "name": _TEXT,
    "address": _TEXT,
    "port": _WHOLE,
    "user": _TEXT,
    "private_key": _TEXT,
    "password": _TEXT,
    "keytab": _TEXT,
    "client_certificate": _TEXT,
    "credential": _TEXT,
    "host_key": _LINES,
    "platform": _TEXT,
    "transport": _TEXT,
    "winrm": _OBJECT,
    "groups": _TEXTS,
    "tags": (_are_tags, f"a list of texts, each of at most {MAX_TAG} characters"),
    "environment": _TEXT,
    "zone": _TEXT,
    "bastion": _TEXT,
    "role": _TEXT,
    "variables": _OBJECT,
    "enabled": _FLAG,
    "maintenance": _FLAG,
    "maintenance_until": _TEXT,
    "maintenance_reason": _TEXT,
}
GROUP_KINDS: dict[str, Kind] = {
    "name": _TEXT,
    "description": _TEXT,
    "parents": _TEXTS,
    "query": _TEXT,
    "variables": _OBJECT,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as the file gives it: plain data, and where it stands."""

    place: Place
    data: Any


@dataclass(frozen=True, slots=True)
class Entries:
    """All rows of a file, and notices of what was not read."""

    targets: list[Entry] = field(default_factory=list)
    groups: list[Entry] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in, and a word for it. Never printed. `certificate` goes with the secret, a private key."""

    user: str
    kind: str
    secret: Secret
    word: str
    certificate: str = ""

    @property
    def secret_name(self) -> str:
        """Which secret of a credential it is."""
        return "private_key" if self.kind == "client_certificate" else self.kind


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target of the file; `fields` are those of the target that the file gives."""

    place: Place
    name: str
    fields: dict[str, Any]
    groups: tuple[str, ...]
    host_keys: tuple[tuple[str, str], ...]
    login: Login | None = field(default=None, repr=False)
    credential: str = ""
    bastion: str = ""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of the file; `fields` are those that the file gives."""

    place: Place
    name: str
    fields: dict[str, Any]
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a file holds. `mistakes` are those of rows that are not among the others."""

    targets: list[TargetRow]
    groups: list[GroupRow]
    notices: list[str]
    mistakes: list[Mistake]


def check_entries(entries: Entries, *, key_folder: Path | None) -> Inventory:
    """The rows that can be used, and what is wrong with the others.

    `key_folder` is what the paths of private keys start from; None where the file comes from afar, whose
    sender must not make the portal read its own files. Raises InventoryError for too many rows.
    """
    if len(entries.targets) + len(entries.groups) > MAX_ROWS:
        raise InventoryError([Mistake(f"more than {MAX_ROWS} rows", next_step="Split the file.")])
    reader = _Reader(key_folder)
    groups = [reader.group(each) for each in entries.groups]
    targets = [reader.target(each) for each in entries.targets]
    return Inventory(
        [row for row in targets if row is not None],
        [row for row in groups if row is not None],
        entries.notices,
        [*entries.mistakes, *reader.mistakes],
    )


class _Reader:
    """Reads rows and collects what is wrong with them. No message quotes a value that may be a secret."""

    def __init__(self, key_folder: Path | None) -> None:
        self.mistakes: list[Mistake] = []
        self._folder = key_folder
        self._seen: dict[tuple[bool, str], Place] = {}
        self._keys: dict[Path, Secret] = {}

    def target(self, entry: Entry) -> TargetRow | None:
        data, place = entry.data, entry.place
        if not self._is_fit(entry, TARGET_KINDS, needed=("name", "address")):
            return None
        found = len(self.mistakes)
        place = place.named(data["name"])
        fields = {key: data[key] for key in (*PLAIN, *PLAIN_FLAGS) if key in data}
        if "maintenance_until" in data:
            fields["maintenance_until"] = self._checked(place, "maintenance_until", lambda: _moment(data))
        row = TargetRow(
            place=place,
            name=data["name"],
            fields=fields,
            groups=tuple(
                dict.fromkeys([*data.get("groups", []), *([data["role"]] if "role" in data else [])])
            ),
            host_keys=self._checked(place, "host_key", lambda: _host_keys(data)) or (),
            login=self._checked(place, "login", lambda: self._login(data)),
            credential=data.get("credential", ""),
            bastion=data.get("bastion", ""),
        )
        self._check_variables(place, data)
        return row if len(self.mistakes) == found else None

    def group(self, entry: Entry) -> GroupRow | None:
        data, place = entry.data, entry.place
        if not self._is_fit(entry, GROUP_KINDS, needed=("name",)):
            return None
        found = len(self.mistakes)
        place = place.named(data["name"])
        self._check_variables(place, data)
        fields = {key: data[key] for key in ("description", "query", "variables") if key in data}
        row = GroupRow(place, data["name"], fields, tuple(dict.fromkeys(data.get("parents", ()))))
        return row if len(self.mistakes) == found else None

    def _is_fit(self, entry: Entry, kinds: dict[str, Kind], *, needed: Iterable[str]) -> bool:
        data, place = entry.data, entry.place
        if not isinstance(data, dict):
            self.mistakes.append(place.mistake("must be an object"))
            return False
        name = data.get("name")
        place = place.named(name)
        found = [place.mistake(text, about=key) for key, text in _wrong(data, kinds, needed)]
        if isinstance(name, str):
            first = self._seen.setdefault((kinds is GROUP_KINDS, name.lower()), place)
            if first is not place:
                where = f" in line {first.line}" if first.line else ""
                found.append(place.mistake(f"the same as {first.row}{where}", about="name"))
        self.mistakes += found
        return not found

    def _checked(self, place: Place, about: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except _WrongField as error:
            self.mistakes.append(place.mistake(str(error), about=error.field, next_step=error.next_step))
        except ValidationError as error:
            self.mistakes.append(place.mistake(" ".join(error.messages), about=about))
        except ValueError as error:
            self.mistakes.append(place.mistake(str(error), about=about))
        return None

    def _check_variables(self, place: Place, data: dict[str, Any]) -> None:
        try:
            check_variables(data.get("variables", {}))
        except ParameterError as error:
            self.mistakes += [place.mistake(each["message"], about=each["path"]) for each in error.errors]

    def _login(self, data: dict[str, Any]) -> Login | None:
        given = [key for key in LOGINS if key in data]
        if "credential" in data and (given or "user" in data):
            raise _WrongField("credential", "give either a credential or user with private_key or password")
        if not given and "user" not in data:
            return None
        if "user" in data:
            check_username(data["user"])
        with_certificate = given == ["private_key", "client_certificate"]
        alone = len(given) == 1 and given != ["client_certificate"]
        if "user" not in data or not (alone or with_certificate):
            raise _WrongField("user", A_LOGIN, next_step=f"Give both, or neither. {USE_A_CREDENTIAL}")
        if given == ["password"]:
            return Login(data["user"], "password", Secret(data["password"]), "password")
        if with_certificate:
            key, certificate = (self._file(data, each) for each in given)
            kind, text = "client_certificate", self._text(certificate, about="client_certificate")
            return Login(data["user"], kind, self._key(key), certificate.name, certificate=text)
        path = self._file(data, given[0])
        secret = self._key(path) if given == ["private_key"] else self._keytab(path)
        return Login(data["user"], given[0], secret, path.name)

    def _file(self, data: dict[str, Any], about: str) -> Path:
        if self._folder is None:
            message = "a path to a key is read only by the command import_inventory, on the portal's machine"
            raise _WrongField(about, message, next_step=USE_A_CREDENTIAL)
        return self._folder / Path(data[about]).expanduser()

    def _key(self, path: Path) -> Secret:
        if path not in self._keys:
            self._keys[path] = Secret(self._text(path, about="private_key"))
        return self._keys[path]

    def _keytab(self, path: Path) -> Secret:
        if path not in self._keys:
            self._keys[path] = Secret(base64.b64encode(_content(path, about="keytab")).decode())
        return self._keys[path]

    @staticmethod
    def _text(path: Path, *, about: str) -> str:
        try:
            return _content(path, about=about).decode()
        except UnicodeDecodeError:
            raise _WrongField(about, f"{path} is not a key file") from None


def _content(path: Path, *, about: str) -> bytes:
    try:
        if path.stat().st_size > MAX_KEY_BYTES:
            raise _WrongField(about, f"{path} is too large for a key")
        return path.read_bytes()
    except OSError as error:
        raise _WrongField(about, f"{path}: {error.strerror}") from None


class _WrongField(ValueError):
    """The value of this field cannot be used."""

    def __init__(self, about: str, message: str, *, next_step: str = CORRECT_IT) -> None:
        super().__init__(message)
        self.field = about
        self.next_step = next_step


def _wrong(data: dict[str, Any], kinds: dict[str, Kind], needed: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Unknown and missing keys, and values of a wrong type."""
    for key, value in data.items():
        if key in kinds:
            fits, kind = kinds[key]
            if not fits(value):
                yield key, f"must be {kind}"
        elif key not in IGNORED:
            yield key[:64], f"unknown key{did_you_mean(key, kinds)}"
    for key in needed:
        if key not in data:
            yield key, "is missing"


def _groups(data: dict[str, Any]) -> tuple[str, ...]:
    role = [data["role"]] if "role" in data else []
    return tuple(dict.fromkeys([*data.get("groups", []), *role]))


def _host_keys(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    given = data.get("host_key", [])
    return tuple(read_host_key(line) for line in ([given] if isinstance(given, str) else given))


def _moment(data: dict[str, Any]) -> datetime:
    try:
        found = parse_datetime(data["maintenance_until"])
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("must be a moment with its offset, like 2030-01-31T22:00:00+01:00")
    return found
