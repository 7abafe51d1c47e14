"""Writing an inventory for Ansible: INI, YAML, and the JSON of `--list`.

Targets that are disabled are left out. Variables are values, not templates: text that Ansible would take for
a template is marked, so that it stays text there, too. Variables that would steer Ansible itself
(`ansible_…`) are left out.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import yaml

from automation.inventory_files.ansible import LONERS, OWN_PREFIX, TOP
from automation.inventory_files.fleet import Fleet, FleetGroup, FleetTarget, aliases

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_]")
_NOT_IN_A_HOST = re.compile(r"[^A-Za-z0-9._-]")
# A name, or an address with three dots: neither number nor Python.
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[A-Za-z][A-Za-z0-9.-]*")
_ENDS_RAW = re.compile(r"\{%[-+]?\s*endraw")


class _Words:
    """The fleet in names that Ansible can hold."""

    def __init__(self, fleet: Fleet) -> None:
        self.targets = [each for each in fleet.targets if each.enabled]
        self.groups = fleet.groups
        self.hosts = aliases((each.name for each in self.targets), lambda name: _NOT_IN_A_HOST.sub("_", name))
        # A group of ours by that name means Ansible's only where everything is in it.
        whole = all(TOP in each.groups for each in self.targets)
        names = [each.name for each in self.groups if not (whole and each.name == TOP)]
        self.group_words = aliases(names, _group_word, taken=(TOP, LONERS))
        if whole and len(names) < len(self.groups):
            self.group_words[TOP] = TOP

    def members(self, group: FleetGroup) -> list[str]:
        """The hosts that are in the group without going through another one."""
        return [self.hosts[each.name] for each in self.targets if group.name in each.direct]

    def children(self, group: FleetGroup) -> list[str]:
        return [self.group_words[name] for name in group.children]


def _group_word(name: str) -> str:
    word = _NOT_IN_A_NAME.sub("_", name)
    return f"_{word}" if word[:1].isdigit() else word


def _host_variables(target: FleetTarget) -> dict[str, Any]:
    connection: dict[str, Any] = {"ansible_host": target.address, "ansible_port": target.port}
    if target.login:
        connection["ansible_user"] = target.login
    if target.transport == "winrm":
        connection |= {"ansible_connection": "winrm", **_winrm(target.winrm)}
    elif target.jumps:
        way = ",".join(jump.place for jump in target.jumps)
        connection["ansible_ssh_common_args"] = f"-o {shlex.quote(f'ProxyJump={way}')}"
    return connection | _free(target.variables)


def _winrm(how: dict[str, Any]) -> dict[str, Any]:
    """Ansible knows no negotiate: it calls that ntlm, which is what it comes to without Kerberos."""
    method = how.get("method", "negotiate")
    said = {
        "ansible_winrm_scheme": "https" if how.get("https", True) else "http",
        "ansible_winrm_transport": "ntlm" if method == "negotiate" else method,
    }
    if how.get("encrypt"):
        said["ansible_winrm_message_encryption"] = "always"
    if name := how.get("service_name"):
        said["ansible_winrm_kerberos_hostname_override"] = name
    return said


def _free(variables: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in variables.items() if not key.startswith(OWN_PREFIX)}


def _is_template(value: object) -> bool:
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))


def write_ini(fleet: Fleet) -> str:
    """The INI form."""
    words = _Words(fleet)
    lines = ["# Written by OpsPortal. Holds no secrets.", ""]
    for each in words.targets:
        variables = _host_variables(each).items()
        texts = [_ini_word(key, value) for key, value in variables]
        lines.append(" ".join([words.hosts[each.name], *texts]))
    for group in words.groups:
        word = words.group_words[group.name]
        # Membership in `all` is given by being here at all.
        members = words.members(group) if word != TOP else []
        lines += ["", f"[{word}]", *members]
        if children := words.children(group):
            lines += ["", f"[{word}:children]", *children]
        if group.variables:
            lines += ["", f"[{word}:vars]"]
            lines += [f"{key}={_ini_value(value)}" for key, value in _free(group.variables).items()]
    return "\n".join(lines) + "\n"


def _ini_value(value: Any) -> str:
    """A Python literal, which is what Ansible reads there."""
    if isinstance(value, list):
        return repr([_ini_text(each) for each in value])
    return repr(_ini_text(value))


def _ini_word(key: str, value: Any) -> str:
    """One variable on a host's line. Text needs no quotes where it is no Python literal."""
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and value not in ("True", "False", "None"):
        return f"{key}={value}"
    return shlex.quote(f"{key}={_ini_value(value)}")


def _ini_text(value: Any) -> Any:
    if not _is_template(value):
        return value
    # Where even the mark for plain text cannot hold, no mark is better than half of one.
    return "" if _ENDS_RAW.search(value) else "{% raw %}" + value + "{% endraw %}"


class _Plain(str):
    """Text that Ansible must not take for a template."""


class _Dumper(yaml.SafeDumper):
    """Writes such text with Ansible's own mark."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(_Plain, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"'))


def _yaml_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_yaml_value(each) for each in value]
    return _Plain(value) if _is_template(value) else value


def write_yaml(fleet: Fleet) -> str:
    """The YAML form."""
    words = _Words(fleet)
    top: dict[str, Any] = {
        "hosts": {
            words.hosts[each.name]: {key: _yaml_value(value) for key, value in _host_variables(each).items()}
            for each in words.targets
        },
        "children": {},
    }
    for group in words.groups:
        word = words.group_words[group.name]
        variables = {key: _yaml_value(value) for key, value in _free(group.variables).items()}
        if word == TOP:
            top["vars"] = variables
            continue
        found: dict[str, Any] = {
            "hosts": {host: {} for host in words.members(group)},
            "children": {child: {} for child in words.children(group)},
            "vars": variables,
        }
        top["children"][word] = {key: value for key, value in found.items() if value}
    text = yaml.dump({TOP: top}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000)
    return f"# Written by OpsPortal. Holds no secrets.\n{text}"


def _list_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_list_value(each) for each in value]
    return {"__ansible_unsafe": value} if _is_template(value) else value


def write_list(fleet: Fleet) -> str:
    """What a dynamic inventory answers to `--list`."""
    words = _Words(fleet)
    variables = {
        words.hosts[each.name]: {key: _list_value(value) for key, value in _host_variables(each).items()}
        for each in words.targets
    }
    found: dict[str, Any] = {"_meta": {"hostvars": variables}}
    inside = {word for group in words.groups for word in words.children(group)}
    tops = [word for word in words.group_words.values() if word not in inside and word != TOP]
    grouped = {each.name for each in words.targets if each.groups}
    found[TOP] = {"children": [*tops, LONERS]}
    found[LONERS] = {"hosts": [words.hosts[each.name] for each in words.targets if each.name not in grouped]}
    for group in words.groups:
        word = words.group_words[group.name]
        group_variables = {key: _list_value(value) for key, value in _free(group.variables).items()}
        if word == TOP:
            found[TOP]["vars"] = group_variables
            found[LONERS]["hosts"] += [
                host for host in words.members(group) if host not in found[LONERS]["hosts"]
            ]
            continue
        found[word] = {
            "hosts": words.members(group),
            "children": words.children(group),
            "vars": group_variables,
        }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
