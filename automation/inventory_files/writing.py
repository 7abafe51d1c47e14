"""Writing an inventory: JSON and CSV that import again unchanged, and what other tools read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

from automation.inventory_files.csv_file import COLUMNS, LISTS, cell, join
from automation.inventory_files.fleet import Fleet, FleetTarget, aliases
from automation.inventory_files.writing_ansible import write_ini, write_list, write_yaml

NODE_EXPORTER_PORT = 9100
_NOT_IN_A_HOST = re.compile(r"[^A-Za-z0-9._-]+")
LOGIN_COLUMNS = ("user", "private_key", "client_certificate", "keytab", "password", "role")


def write_json(fleet: Fleet) -> str:
    """What `import_inventory` reads."""
    data = {"groups": [each.row for each in fleet.groups], "hosts": [each.row for each in fleet.targets]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def write_csv(fleet: Fleet) -> str:
    """What `import_inventory --format csv` reads; no cell begins a formula."""
    columns = [name for name in COLUMNS if name not in LOGIN_COLUMNS]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    rows = [{"kind": "group"} | each.row for each in fleet.groups]
    rows += [{"kind": "target"} | each.row for each in fleet.targets]
    for row in rows:
        writer.writerow([cell(_cell_text(name, row.get(name, ""))) for name in columns])
    return out.getvalue()


def _cell_text(name: str, value: Any) -> str:
    if name in LISTS:
        return join(list(value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_http_sd(fleet: Fleet) -> str:
    """Prometheus `http_sd`: one entry a target, on the port of its variable `prometheus_port`, else 9100."""
    found = [{"targets": [_socket(each)], "labels": _labels(each)} for each in fleet.targets if each.enabled]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _socket(target: FleetTarget) -> str:
    wanted = target.all_variables.get("prometheus_port")
    port = wanted if isinstance(wanted, int) and 0 < wanted < 2**16 else NODE_EXPORTER_PORT
    address = f"[{target.address}]" if ":" in target.address else target.address
    return f"{address}:{port}"


def _labels(target: FleetTarget) -> dict[str, str]:
    # Commas around the items, so that one pattern finds each: `.*,web,.*`.
    labels = {
        "name": target.name,
        "platform": "windows" if target.is_windows else "linux",
        "environment": target.environment,
        "zone": target.zone,
        "groups": f",{','.join(target.groups)}," if target.groups else "",
        "tags": f",{','.join(target.tags)}," if target.tags else "",
    }
    return {f"__meta_opsportal_{name}": text for name, text in labels.items() if text}


def write_ssh_config(fleet: Fleet) -> str:
    """A file for `ssh -F` or an Include: address, port, login and bastions of each target behind SSH."""
    reached = [each for each in fleet.targets if each.enabled and each.transport == "ssh"]
    words = aliases((each.name for each in reached), lambda name: _NOT_IN_A_HOST.sub("-", name).strip("-"))
    parts = ["# Written by OpsPortal. Holds no secrets; ssh itself verifies the host keys.\n"]
    for each in reached:
        lines = [f"Host {words[each.name]}", f"  HostName {each.address}", f"  Port {each.port}"]
        if each.login:
            lines.append(f"  User {each.login}")
        if each.jumps:
            lines.append(f"  ProxyJump {_way(each, words)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _way(target: FleetTarget, words: dict[str, str]) -> str:
    """The bastions as ssh goes through them; one that has an entry here brings its own way along."""
    way: list[str] = []
    for jump in reversed(target.jumps):
        if jump.name in words:
            return ",".join([words[jump.name], *way])
        way.insert(0, jump.place)
    return ",".join(way)


WRITERS: dict[str, tuple[Callable[[Fleet], str], str, str]] = {
    "json": (write_json, "application/json", "inventory.json"),
    "csv": (write_csv, "text/csv; charset=utf-8", "inventory.csv"),
    "ansible-ini": (write_ini, "text/plain; charset=utf-8", "inventory.ini"),
    "ansible-yaml": (write_yaml, "application/yaml", "inventory.yaml"),
    "ansible-list": (write_list, "application/json", "ansible-list.json"),
    "http-sd": (write_http_sd, "application/json", "http_sd.json"),
    "ssh-config": (write_ssh_config, "text/plain; charset=utf-8", "ssh_config"),
}
EXPORT_FORMATS = tuple(WRITERS)
