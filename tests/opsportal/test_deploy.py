"""The files in deploy/: what they start exists, and no secret stands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class

from automation.models.files import MAX_FILE_BYTES

DEPLOY = Path(settings.BASE_DIR) / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text(encoding="utf-8"))
    return found


def commands() -> list[list[str]]:
    """What units and services give to manage.py."""
    found = []
    for unit in UNITS:
        (line,) = re.findall(r"^ExecStart=\S+ manage\.py (.*)$", unit.read_text(encoding="utf-8"), re.M)
        found.append(shlex.split(line))
    services = compose()["services"].values()
    return found + [service["command"] for service in services if "command" in service]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_what_is_started_is_a_command_with_these_options(words: list[str]) -> None:
    command = load_command_class(get_commands()[words[0]], words[0])
    command.create_parser("manage.py", words[0]).parse_args(words[1:])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_may_do_little_and_only_its_main_process_is_asked_to_end(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    for wanted in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "KillMode=mixed"):
        assert wanted in lines
    assert "User=opsportal" in lines


def test_every_secret_comes_from_a_file_and_only_nginx_is_reached_from_outside() -> None:
    described = compose()
    for name, service in described["services"].items():
        for variable in service.get("environment", {}):
            assert not re.search("PASSWORD$|SECRET_KEY$|KEYS$|DATABASE_URL$", variable), (name, variable)
        assert ("ports" in service) == (name == "nginx")
    assert described["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("address", ["/files/", "/api/v1/files/"])
def test_nginx_lets_the_largest_file_through(address: str) -> None:
    text = (DEPLOY / "nginx" / "opsportal.conf").read_text(encoding="utf-8")
    blocks = re.findall(r"location ~ (\S+) \{(.*?)\}", text, re.S)
    (block,) = [inside for pattern, inside in blocks if re.search(pattern, address)]
    (megabytes,) = re.findall(r"client_max_body_size ([0-9]+)m;", block)
    assert int(megabytes) * 1024 * 1024 > MAX_FILE_BYTES + 1024 * 1024
