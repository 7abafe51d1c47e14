"""Exports import again unchanged, and other tools can read theirs."""

from __future__ import annotations

import csv
import io
import json
import random
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.core.management.base import CommandError

from automation.definitions.query import parse
from automation.import_inventory import ImportOptions, import_rows
from automation.inventory_files.fleet import fleet_of
from automation.inventory_files.reading import read_inventory
from automation.inventory_files.writing import WRITERS
from automation.models import Group, HostKey, Target
from credentials.models import Credential
from credentials.secret import Secret
from tests.api.conftest import HOST_KEY
from tests.inventory.conftest import group, target

pytestmark = pytest.mark.django_db

CANARY = "canary-9xTq2LmZ7vWb"
TEXTS = (
    *("plain", "two words", "=cmd()", "'quoted", "''", "+1", "@x", "a;b\\c", "comma,here", ' "quoted" '),
    *(
        "\nnew\r\nlines\n",
        "ümlaut 🚀",
        "{{ lookup('pipe','id') }}",
        "{% endraw %}{{ x }}",
        "# no",
        " a ",
        "[x:y]",
    ),
)


def written(file_format: str) -> str:
    return WRITERS[file_format][0](fleet_of(Target.objects.with_plan_parts()))


def read_again(text: str, file_format: str) -> Any:
    return import_rows(read_inventory(text.encode(), file_format), ImportOptions(trust_host_keys=True))


def some_name(source: random.Random, number: int) -> str:
    odd = source.choice(["", "ä", ";", "\\", "[1:3]", "=x", " two", "\u2003", "{{", "#", " "])
    return f"{source.choice('abcxyz@=+')}{number}{odd}"


def some_variables(source: random.Random) -> dict[str, Any]:
    values: tuple[Any, ...] = (*TEXTS, 0, -7, True, False, ["a", " b;"], [])
    return {f"v{n}": source.choice(values) for n in range(source.randint(0, 4))}


def make_some(source: random.Random, login: Credential) -> None:
    """An inventory of everything that an inventory may hold."""
    names = [some_name(source, number) for number in range(4)]
    for number, name in enumerate(names):
        group(
            name,
            *source.sample(names[:number], source.randint(0, number)),
            query=source.choice(["", "env:prod", 'name:"a b*" or tag:x']),
            description=source.choice(("", *TEXTS)),
            variables=some_variables(source),
        )
    for number in range(5):
        made = target(
            some_name(source, number),
            *source.sample(names, source.randint(0, 4)),
            port=source.choice([22, 2222]),
            environment=source.choice(["", "prod", "=x"]),
            zone=source.choice(["", " z "]),
            tags=sorted(set(source.choices(TEXTS[:10], k=source.randint(0, 3)))),
            enabled=source.random() < 0.7,
            maintenance=source.random() < 0.3,
            maintenance_reason=source.choice(["", "-disks"]),
            variables=some_variables(source),
            credential=source.choice([None, login]),
        )
        if source.random() < 0.5:
            HostKey.objects.saw(made, "ssh-ed25519", HOST_KEY, HostKey.State.TRUSTED)


@pytest.mark.parametrize("file_format", ["json", "csv"])
@pytest.mark.parametrize("seed", range(12))
def test_an_export_imports_again_unchanged(file_format: str, seed: int) -> None:
    login = Credential(name="ops", kind="password", username="ops")
    login.set_secrets(password=Secret(CANARY))
    make_some(random.Random(seed), login)
    before = written(file_format)
    assert CANARY not in before

    over = read_again(before, file_format)
    assert {row.done for row in over.rows} == {"unchanged"}

    Target.objects.all().delete()
    Group.objects.all().delete()
    read_again(before, file_format)
    assert written(file_format) == before


def test_no_cell_begins_a_formula() -> None:
    target("=cmd()", tags=["@sum"], environment="+1", variables={"x": "=1"})
    rows = list(csv.reader(io.StringIO(written("csv"), newline="")))
    assert not [text for row in rows for text in row if text[:1] in ("=", "+", "-", "@")]


@pytest.fixture
def fleet() -> None:
    login = Credential(name="ops", kind="password", username="deploy")
    login.set_secrets(password=Secret(CANARY))
    group("eu", variables={"ntp": "ntp.eu", "tpl": "{{ x }}"})
    group("web servers", "eu", query="tag:web")
    target(
        "web 1", tags=["web"], environment="prod", credential=login, variables={"port": 8080, "zero": "007"}
    )
    target("web2", "web servers")
    target("lonely")
    target("gone", "eu", enabled=False)


def test_ansible_reads_hosts_nested_groups_and_variables(fleet: None) -> None:
    told = json.loads(written("ansible-list"))
    assert told["_meta"]["hostvars"]["web_1"] == {
        "ansible_host": "web-1.example.org",
        "ansible_port": 22,
        "ansible_user": "deploy",
        "port": 8080,
        "zero": "007",
    }
    assert told["web_servers"]["hosts"] == ["web_1", "web2"]
    assert told["eu"] == {
        "hosts": [],
        "children": ["web_servers"],
        "vars": {"ntp": "ntp.eu", "tpl": {"__ansible_unsafe": "{{ x }}"}},
    }
    assert told["all"]["children"] == ["eu", "ungrouped"]
    assert told["ungrouped"]["hosts"] == ["lonely"]
    ini = written("ansible-ini")
    assert "'zero='\"'\"'007'\"'\"''" in ini
    assert "tpl='{% raw %}{{ x }}{% endraw %}'" in ini
    assert "[eu:children]\nweb_servers" in ini
    assert "gone" not in ini
    assert '!unsafe "{{ x }}"' in written("ansible-yaml")
    assert CANARY not in ini + written("ansible-yaml")


@pytest.mark.parametrize("file_format", ["ansible-ini", "ansible-yaml"])
def test_an_inventory_written_for_ansible_is_read_the_same_here(fleet: None, file_format: str) -> None:
    entries = read_inventory(written(file_format).encode(), "ansible")
    assert not entries.mistakes
    rows = {row.name: row for row in entries.targets}
    assert rows["web_1"].fields["variables"] == {"port": 8080, "zero": "007"}
    assert rows["web_1"].fields["address"] == "web-1.example.org"
    assert rows["web2"].groups == ("web_servers",)
    assert {row.name: row.parents for row in entries.groups} == {"eu": (), "web_servers": ("eu",)}


def test_prometheus_and_ssh_find_the_targets(fleet: None) -> None:
    first, *_ = [each for each in json.loads(written("http-sd")) if "web" in each["targets"][0]]
    assert first == {
        "targets": ["web-1.example.org:9100"],
        "labels": {
            "__meta_opsportal_name": "web 1",
            "__meta_opsportal_platform": "linux",
            "__meta_opsportal_environment": "prod",
            "__meta_opsportal_groups": ",eu,web servers,",
            "__meta_opsportal_tags": ",web,",
        },
    }
    assert "Host web-1\n  HostName web-1.example.org\n  Port 22\n  User deploy\n" in written("ssh-config")


@pytest.fixture
def behind() -> None:
    """A target behind two bastions."""
    login = Credential(name="ops", kind="password", username="ops")
    login.set_secrets(password=Secret(CANARY))
    edge = target("edge", credential=login, port=2222)
    hall = target("hall", credential=login, bastion=edge)
    target("vault 1", bastion=hall)


def test_ssh_goes_through_bastions_by_their_own_entries(behind: None) -> None:
    told = written("ssh-config")
    assert "Host hall\n  HostName hall.example.org\n  Port 22\n  User ops\n  ProxyJump edge\n" in told
    assert "Host vault-1\n  HostName vault-1.example.org\n  Port 22\n  ProxyJump hall\n" in told


def test_bastions_that_a_query_leaves_out_are_named_by_their_places(behind: None) -> None:
    chosen = fleet_of(Target.objects.with_plan_parts(), parse('name:"vault 1"'))
    told = WRITERS["ssh-config"][0](chosen)
    assert "  ProxyJump ops@edge.example.org:2222,ops@hall.example.org:22\n" in told


@pytest.mark.parametrize("file_format", ["ansible-ini", "ansible-yaml"])
def test_ansible_gets_the_way_through_bastions_and_it_is_read_again(behind: None, file_format: str) -> None:
    told = written(file_format)
    assert "-o ProxyJump=ops@edge.example.org:2222,ops@hall.example.org:22" in told
    entries = read_inventory(told.encode(), "ansible")
    assert {row.name: row.bastion for row in entries.targets} == {
        "edge": "",
        "hall": "edge",
        "vault_1": "hall",
    }
    assert not [notice for notice in entries.notices if "ssh" in notice.lower()]


def test_plain_words_on_a_line_for_ansible_have_no_quotes() -> None:
    target("a", variables={"role": "front-end", "zero": "007", "yes": "True", "v": "1.2"})
    Target.objects.update(address="10.0.0.7")
    line = next(line for line in written("ansible-ini").splitlines() if line.startswith("a "))
    assert line.startswith("a ansible_host=10.0.0.7 ansible_port=22 role=front-end ")
    (row,) = read_inventory(written("ansible-ini").encode(), "ansible").targets
    assert row.fields["variables"] == {"role": "front-end", "zero": "007", "yes": "True", "v": "1.2"}


def test_yaml_for_ansible_is_yaml_without_aliases() -> None:
    group("g", variables={"x": ["a"]})
    target("t", "g")
    text = written("ansible-yaml")
    assert "&" not in text
    assert yaml.safe_load(text)["all"]["children"]["g"] == {"hosts": {"t": {}}, "vars": {"x": ["a"]}}


def test_the_command_writes_what_a_query_names(fleet: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("export_inventory", "--query", 'group:"web servers" -tag:web')
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told["hosts"]] == ["web2"]
    assert [each["name"] for each in told["groups"]] == ["eu", "web servers"]
    with pytest.raises(CommandError, match=r"(?s)grup:x\n\^"):
        call_command("export_inventory", "--query", "grup:x")
