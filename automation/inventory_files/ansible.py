"""What Ansible inventories mean here: their groups, hosts and variables as rows of ours.

Files are read as data: nothing in them is run, no template is evaluated and nothing is decrypted. Text that
holds a template stays text; what is encrypted by Ansible Vault is left out, and told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from automation.inventory_files.mistakes import Mistake, Place
from automation.inventory_files.rows import MAX_ROWS, Entries, Entry
from automation.libraries.windows.address import HTTP_PORT
from automation.models.winrm import METHODS

TOP, LONERS = "all", "ungrouped"
OWN_PREFIX = "ansible_"
# Ansible's words for what a target has here, the newest first.
CONNECTION = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "password": ("ansible_password", "ansible_ssh_password", "ansible_ssh_pass"),
    "private_key": ("ansible_private_key_file", "ansible_ssh_private_key_file"),
    "connection": ("ansible_connection",),
    "scheme": ("ansible_winrm_scheme",),
    "method": ("ansible_winrm_transport",),
    "message_encryption": ("ansible_winrm_message_encryption",),
    "validation": ("ansible_winrm_server_cert_validation",),
    "service_name": ("ansible_winrm_kerberos_hostname_override",),
    "ssh_args": ("ansible_ssh_common_args", "ansible_ssh_extra_args"),
}
WINRM_WORDS = ("scheme", "method", "message_encryption", "validation", "service_name")
WINDOWS_CONNECTIONS = ("winrm", "psrp")
# `-o ProxyJump=ops@bastion:22` and `-J ops@bastion:22`; of several the last is the one next to the target.
_JUMP = re.compile(r"""(?:-o\s*["']?ProxyJump[=\s]|-J\s*)\s*["']?([^\s"']+)""", re.IGNORECASE)
_RANGE = re.compile(r"\[(?:([0-9]*):([0-9]+)|([A-Za-z]):([A-Za-z]))(?::([0-9]+))?\]")
_VAULT = "$ANSIBLE_VAULT"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A value that Ansible Vault encrypted."""


@dataclass(frozen=True, slots=True)
class Given:
    """A variable's value and the line it stands on."""

    value: Any
    line: int


@dataclass(slots=True)
class AnsibleGroup:
    """A group of the file; `children` and `hosts` are names."""

    line: int
    children: dict[str, int] = field(default_factory=dict)
    hosts: list[str] = field(default_factory=list)
    variables: dict[str, Given] = field(default_factory=dict)


@dataclass(slots=True)
class AnsibleFile:
    """What stands in the file."""

    groups: dict[str, AnsibleGroup] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)
    variables: dict[str, dict[str, Given]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def group(self, name: str, line: int) -> AnsibleGroup:
        """The group of this name, made here if it is new."""
        return self.groups.setdefault(name, AnsibleGroup(line))

    def add_host(self, name: str, line: int, variables: dict[str, Given]) -> None:
        """A host, or more of one that was there before."""
        self.hosts.setdefault(name, line)
        self.variables.setdefault(name, {}).update(variables)


def expand(pattern: str) -> tuple[list[str], str]:
    """The names that a host pattern like `web[01:20]:2222` stands for, and its port, if it has one.

    Raises ValueError.
    """
    port = ""
    without_ranges = _RANGE.sub("", pattern)
    if pattern.startswith("[") and not _RANGE.match(pattern):
        inside, end, rest = pattern[1:].partition("]")
        if not end or (rest and not re.fullmatch(r":[0-9]{1,5}", rest)):
            raise ValueError(f"{pattern[:100]!r} is not an address in brackets")
        return [inside], rest[1:]
    if without_ranges.count(":") == 1:
        pattern, _, port = pattern.rpartition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError(f"the port of {pattern[:100]!r} is not a number")
    if "[" in _RANGE.sub("", pattern):
        raise ValueError(f"{pattern[:100]!r} holds no range like [01:20] or [a:f]")
    names = [""]
    at = 0
    for found in _RANGE.finditer(pattern):
        middle = pattern[at : found.start()]
        steps = list(_steps(found))
        if len(names) * len(steps) > MAX_ROWS:
            raise ValueError(f"{pattern[:100]!r} stands for more than {MAX_ROWS} hosts")
        names = [name + middle + step for name in names for step in steps]
        at = found.end()
    return [name + pattern[at:] for name in names], port


def _steps(found: re.Match[str]) -> Iterator[str]:
    low, high, first, last, step_text = found.groups()
    step = int(step_text or 1)
    if step < 1 or len(found.group()) > 40:
        raise ValueError(f"the range {found.group()[:40]} has no end")
    if first is not None:
        start, end = ord(first), ord(last)
        if first.islower() != last.islower() or start > end:
            raise ValueError(f"the range {found.group()} runs backwards")
        yield from (chr(code) for code in range(start, end + 1, step))
        return
    low = low or "0"
    width = len(low) if low.startswith("0") and len(low) > 1 else 0
    if width and width != len(high):
        raise ValueError(f"both ends of the range {found.group()} need the same number of digits")
    if int(low) > int(high):
        raise ValueError(f"the range {found.group()} runs backwards")
    if (int(high) - int(low)) // step >= MAX_ROWS:
        raise ValueError(f"the range {found.group()} stands for more than {MAX_ROWS} hosts")
    yield from (str(number).zfill(width) for number in range(int(low), int(high) + 1, step))


def to_entries(file: AnsibleFile) -> Entries:
    """The file's hosts and groups as rows of ours."""
    if found := _circle(file):
        file.mistakes.append(found)
        return Entries(mistakes=file.mistakes)
    return _Translation(file).entries()


def _circle(file: AnsibleFile) -> Mistake | None:
    """The first group that lies in itself."""
    for name, group in file.groups.items():
        waiting, seen = list(group.children), set[str]()
        while waiting:
            child = waiting.pop()
            if child == name:
                return Mistake("the group lies in itself, through its children", line=group.line, row=name)
            if child not in seen:
                seen.add(child)
                waiting += file.groups[child].children if child in file.groups else []
    return None


class _Translation:
    def __init__(self, file: AnsibleFile) -> None:
        self._file = file
        self._entries = Entries(mistakes=file.mistakes)
        self._told: set[str] = set()
        self._parents: dict[str, list[str]] = {name: [] for name in file.groups}
        for name, group in file.groups.items():
            for child in group.children:
                self._parents.setdefault(child, []).append(name)
        self._depths: dict[str, int] = {}
        self._in_groups: dict[str, list[str]] = {}
        for name, group in file.groups.items():
            for host in group.hosts:
                self._in_groups.setdefault(host, []).append(name)
        top = file.groups.get(TOP)
        self._keeps_top = top is not None and any(not key.startswith(OWN_PREFIX) for key in top.variables)

    def entries(self) -> Entries:
        for name, group in self._file.groups.items():
            if (name == TOP and not self._keeps_top) or (name == LONERS and not group.variables):
                continue
            self._entries.groups.append(self._group(name, group))
        if self._keeps_top:
            self._notice(f"the variables of {TOP!r} are kept by a group of this name")
        for name, line in self._file.hosts.items():
            self._entries.targets.append(self._target(name, line))
        return self._entries

    def _group(self, name: str, group: AnsibleGroup) -> Entry:
        place = Place(f"group {name}", group.line)
        variables = self._variables(name, group.variables, place)
        parents = [parent for parent in self._parents[name] if parent != TOP]
        if name not in (TOP, LONERS) and not parents and self._keeps_top:
            parents = [TOP]
        data: dict[str, Any] = {"name": name, "variables": variables}
        return Entry(place, data | ({"parents": parents} if parents else {}))

    def _target(self, name: str, line: int) -> Entry:
        own = self._file.variables.get(name, {})
        place = Place(f"host {name}", line)
        data: dict[str, Any] = {"name": name, "variables": self._variables(name, own, place)}
        data |= self._connection(name, own, place)
        groups = [group for group in self._in_groups.get(name, []) if group not in (TOP, LONERS)]
        if not groups and LONERS in self._file.groups and self._file.groups[LONERS].variables:
            groups.append(LONERS)
        if self._keeps_top and not groups:
            groups.append(TOP)
        return Entry(place, data | ({"groups": groups} if groups else {}))

    def _connection(self, name: str, own: dict[str, Given], place: Place) -> dict[str, Any]:
        """How the host is reached: from its variables and, as Ansible does it, from those of its groups."""
        given = self._inherited(name) | own
        found: dict[str, Any] = {"address": name}
        for field_name, words in CONNECTION.items():
            value = next((given[word] for word in words if word in given), None)
            if value is None:
                continue
            place.lines[field_name] = value.line
            if _is_encrypted(value.value):
                self._notice(f"{words[0]} of {name} is encrypted by Ansible Vault and was left out")
            elif isinstance(value.value, str) and "{{" in value.value:
                text = "is a template, which is not evaluated"
                self._entries.mistakes.append(
                    place.mistake(text, about=field_name, next_step="Write the value itself into the file.")
                )
            else:
                found[field_name] = value.value if field_name == "port" else str(value.value)
        if args := found.pop("ssh_args", ""):
            found |= self._through(args)
        return self._logged_in(self._reached(found), name)

    def _through(self, args: str) -> dict[str, Any]:
        """The bastion, where ssh was told to jump by way of a host of this file."""
        jump = _JUMP.search(args)
        if jump is None or _JUMP.sub("", args).strip(" \"'"):
            self._notice("ansible_ssh_common_args is not read but for its ProxyJump")
        if jump is None or jump[1] == "none":
            return {}
        nearest = jump[1].rpartition(",")[2].rpartition("@")[2]
        place = urlsplit(f"//{nearest}")
        for host in self._file.hosts:
            given = self._inherited(host) | self._file.variables.get(host, {})
            address = next((str(given[word].value) for word in CONNECTION["address"] if word in given), host)
            if place.hostname in (host.lower(), address.lower()):
                return {"bastion": host}
        self._notice(f"ProxyJump {jump[1][:80]} names no host of this file: set the bastion by hand")
        return {}

    def _reached(self, found: dict[str, Any]) -> dict[str, Any]:
        port = found.get("port")
        if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) < 8:
            found["port"] = int(port)
        said = {word: found.pop(word) for word in WINRM_WORDS if word in found}
        if found.pop("connection", "ssh") in WINDOWS_CONNECTIONS:
            found |= {"platform": "windows", "transport": "winrm"}
            if how := self._winrm(said, found):
                found["winrm"] = how
        return found

    def _winrm(self, said: dict[str, str], found: dict[str, Any]) -> dict[str, Any]:
        """Ansible's settings in ours. None of its ways to trust any certificate is taken over."""
        how: dict[str, Any] = {}
        # As Ansible has it: HTTP is spoken on its port, and everywhere else HTTPS.
        if said.get("scheme", "http" if found.get("port") == HTTP_PORT else "https") == "http":
            how["https"] = False
        # A list is in the order of preference.
        wished = said.get("method", "").strip("[]").split(",")[0].strip(" '\"")
        if wished in METHODS:
            how["method"] = wished
        elif wished and wished not in ("ssl", "plaintext"):
            self._notice(f"the WinRM transport {wished[:20]} is not known here: negotiate was taken")
        elif wished:
            how["method"] = "basic"
        if said.get("message_encryption") == "always":
            how["encrypt"] = True
        if "service_name" in said:
            how["service_name"] = said["service_name"]
        if said.get("validation") == "ignore":
            self._notice("certificates are verified here: pin them, or add the authority that signs them")
        return how

    def _logged_in(self, found: dict[str, Any], name: str) -> dict[str, Any]:
        """A login is whole or left out: a user alone is no login here."""
        if "password" in found and "private_key" in found:
            del found["password"]
            self._notice(f"{name} has a key and a password; the key was taken")
        if "user" in found and not {"password", "private_key"} & found.keys():
            del found["user"]
            self._notice("a user without a key or password is no login: give these hosts a credential")
        elif "user" not in found and {"password", "private_key"} & found.keys():
            for key in ("password", "private_key"):
                found.pop(key, None)
            self._notice("a key or password without a user is no login: give these hosts a credential")
        return found

    def _inherited(self, host: str) -> dict[str, Given]:
        """The variables of all groups above the host, outer ones first, so that the nearest holds."""
        above: set[str] = {TOP} & self._file.groups.keys()
        waiting = list(self._in_groups.get(host, []))
        while waiting:
            group = waiting.pop()
            if group not in above:
                above.add(group)
                waiting += self._parents[group]
        found: dict[str, Given] = {}
        for group in sorted(above, key=lambda each: (self._depth(each), each)):
            found |= self._file.groups[group].variables
        return found

    def _depth(self, group: str) -> int:
        if group == TOP:
            return 0
        if group not in self._depths:
            parents = self._parents.get(group, [])
            self._depths[group] = 1 + max((self._depth(parent) for parent in parents), default=0)
        return self._depths[group]

    def _variables(self, owner: str, given: dict[str, Given], place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        connection = {word for words in CONNECTION.values() for word in words}
        for name, each in given.items():
            if name.startswith(OWN_PREFIX):
                if name not in connection:
                    self._notice(f"{name} is not read: OpsPortal connects in its own way")
                continue
            key = name.lower()
            place.lines[f"variables.{key}"] = each.line
            if _is_encrypted(each.value):
                self._notice(f"{name} of {owner} is encrypted by Ansible Vault and was left out")
            elif key in found:
                text = f"{name} and another variable differ in capitals alone"
                self._entries.mistakes.append(place.mistake(text, about=f"variables.{key}"))
            else:
                found[key] = self._value(name, each.value, owner)
            if key != name:
                self._notice(f"{name} is called {key} here")
        return found

    def _value(self, name: str, value: Any, owner: str) -> Any:
        match value:
            case bool() | int():
                return value
            case str():
                if "{{" in value or "{%" in value:
                    self._notice(f"{name} of {owner} holds a template, which is kept as text")
                return value
            case None:
                return ""
            case list() if all(isinstance(each, str) for each in value):
                return value
            case list() if all(isinstance(each, int | float) for each in value):
                return [_text(each) for each in value]
            case list() | dict():
                self._notice(f"{name} of {owner} is kept as JSON text: scripts get no nested values")
                return json.dumps(value, ensure_ascii=False, default=str)
        return _text(value)

    def _notice(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._entries.notices.append(text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_encrypted(value: object) -> bool:
    return isinstance(value, Encrypted) or (isinstance(value, str) and value.lstrip().startswith(_VAULT))
