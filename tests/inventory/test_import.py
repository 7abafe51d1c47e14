"""Import by API, from CSV and from Ansible inventories."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from automation.belonging import candidates
from automation.inventory_files.ansible import expand
from automation.models import Group, HostKey, Target
from credentials.models import Credential
from tests.api.conftest import HOST_KEY, bearer, session, token_text
from tests.inventory.conftest import group, target

pytestmark = pytest.mark.django_db

CANARY = "canary-5vRp8KzXw2"
INI = """
lonely ansible_host=10.9.9.9
[web]
web[01:03].example.org:2222 http_port=8080 label="two words" debug=True tags='["a", "b"]'
[db]
db-[a:b] ansible_host=10.0.1.5 Ratio=0.5   # twins
[web:vars]
zero=007
template={{ lookup('pipe','id') }}
secret=$ANSIBLE_VAULT;1.1;AES256
[eu:children]
web
db
[eu:vars]
http_port=80
[all:vars]
company=Example
"""
YAML = """
all:
  vars: {company: Example}
  hosts:
    lonely: {ansible_host: 10.9.9.9}
  children:
    eu:
      vars: {http_port: 80}
      children:
        web:
          vars:
            zero: "007"
            template: "{{ lookup('pipe','id') }}"
            secret: !vault |
              $ANSIBLE_VAULT;1.1;AES256
              6162
          hosts:
            web[01:03].example.org:2222:
              http_port: 8080
              label: two words
              debug: yes
              tags: [a, b]
        db:
          hosts:
            db-[a:b]: {ansible_host: 10.0.1.5, Ratio: 0.5}
"""


def imported(client: APIClient, text: str, file_format: str, **more: Any) -> Any:
    return client.post("/api/v1/inventory/import/", {"format": file_format, "content": text, **more})


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


@pytest.mark.parametrize("text", [INI, YAML], ids=["ini", "yaml"])
def test_an_ansible_inventory_keeps_groups_variables_and_ranges(admin: APIClient, text: str) -> None:
    answer = imported(admin, text, "ansible")
    assert answer.status_code == 200, answer.content
    names = sorted(Target.objects.values_list("name", flat=True))
    assert names == ["db-a", "db-b", "lonely", *(f"web0{n}.example.org" for n in (1, 2, 3))]
    found = {each.name: each for each in candidates(Target.objects.prefetch_related("groups"))}
    assert found["web01.example.org"].groups == ("all", "eu", "web")
    assert found["web01.example.org"].variables == {
        "company": "Example",
        "debug": True,
        "http_port": 8080,
        "label": "two words",
        "tags": ["a", "b"],
        "template": "{{ lookup('pipe','id') }}",
        "zero": "007",
    }
    assert found["db-a"].variables == {"company": "Example", "http_port": 80, "ratio": "0.5"}
    assert found["lonely"].groups == ("all",)
    assert Target.objects.get(name="web02.example.org").port == 2222
    assert Target.objects.get(name="db-b").address == "10.0.1.5"
    notices = " ".join(answer.json()["notices"])
    assert "secret of web is encrypted by Ansible Vault and was left out" in notices
    assert "template of web holds a template" in notices and "Ratio is called ratio here" in notices


def test_a_jump_of_an_ansible_inventory_becomes_the_bastion(admin: APIClient) -> None:
    text = """
        edge ansible_host=10.0.0.1
        one ansible_host=10.1.0.1 ansible_ssh_common_args='-o ProxyJump=ops@10.0.0.1:22'
        two ansible_host=10.1.0.2 ansible_ssh_common_args="-J edge"
        three ansible_host=10.1.0.3 ansible_ssh_common_args='-o ProxyJump=elsewhere -C'
    """
    answer = imported(admin, "\n".join(line.strip() for line in text.splitlines()), "ansible")
    assert answer.status_code == 200, answer.content
    bastions = {each.name: each.bastion.name for each in Target.objects.exclude(bastion=None) if each.bastion}
    assert bastions == {"one": "edge", "two": "edge"}
    notices = " ".join(answer.json()["notices"])
    assert "ProxyJump elsewhere names no host of this file" in notices
    assert "not read but for its ProxyJump" in notices


def test_the_same_ansible_inventory_again_changes_nothing(admin: APIClient) -> None:
    imported(admin, INI, "ansible")
    assert {row["done"] for row in imported(admin, INI, "ansible").json()["rows"]} == {"unchanged"}


def test_logins_of_an_ansible_inventory_become_credentials(admin: APIClient) -> None:
    text = "[w]\na ansible_host=10.0.0.1\nb ansible_host=10.0.0.2\n[w:vars]\nansible_user=ops\n"
    answer = imported(admin, text + f"ansible_password={CANARY}\n", "ansible")
    assert CANARY not in answer.content.decode()
    assert Credential.objects.get().username == "ops"
    assert Target.objects.filter(credential__isnull=False).count() == 2
    assert Group.objects.get().variables == {}


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[web]\nweb1 a b", 2, "word 2 of the line"),
        ('[web]\nweb1 a="b', 2, "cannot be split"),
        ("[web]\nweb[3:1]", 2, "runs backwards"),
        ("[web]\nweb[01:100]", 2, "same number of digits"),
        ("[web]\nweb[1:9999999]", 2, "more than 50000"),
        ("[web:what]\na", 1, "no section of the kind"),
        ("[a:children]\nb", 2, "no group 'b'"),
        ("[a:children]\nb\n[b:children]\na", 1, "lies in itself"),
        ("[web]\nweb1 PATH=x", 2, "'path'"),
        ('[web]\nweb1 ansible_host="{{ ip }}"', 2, "is a template"),
        ("[web]\nweb1 ansible_port=x", 2, "must be a whole number"),
        ("all:\n  hosts:\n    - web1", 3, "must be a mapping"),
        ("all:\n  host:\n    web1:", 2, "is no part of a group"),
        ("all:\n  hosts:\n    web1:\n      x: !!python/object/apply:os.system ['id']", 4, "is not read"),
        ("all:\n  hosts: [", 2, "not YAML"),
        ("all:\n  hosts:\n    web1:\n    web1:", 4, "stands here twice"),
    ],
)
def test_each_mistake_of_an_ansible_inventory_has_its_line(
    admin: APIClient, text: str, line: int, told: str
) -> None:
    answer = imported(admin, text, "ansible")
    assert (answer.status_code, answer.json()["code"]) == (400, "inventory.invalid")
    assert [told in each["message"] for each in answer.json()["errors"]].count(True) == 1
    assert answer.json()["errors"][0]["line"] == line
    assert answer.json()["errors"][0]["next_step"]
    assert not Target.objects.exists()


def test_ranges_stand_for_their_names() -> None:
    assert expand("web[01:05:2].x") == (["web01.x", "web03.x", "web05.x"], "")
    assert expand("r[1:2]-[a:b]:22") == (["r1-a", "r1-b", "r2-a", "r2-b"], "22")
    assert expand("[2001:db8::1]:2200") == (["2001:db8::1"], "2200")
    assert expand("2001:db8::1") == (["2001:db8::1"], "")


def test_csv_takes_targets_and_groups_with_lists_and_variables(admin: APIClient) -> None:
    text = (
        "kind;name;address;port;groups;tags;parents;query;variables;var:role;enabled\n"
        'group;eu;;;;;;env:prod;"{""ntp"": ""x""}";;\n'
        "group;web;;;;;eu;;;;\n"
        'target;web1;10.0.0.1;2222;"web; shop\\; two";a;;;"{""port"": 80}";front;no\n'
    )
    answer = imported(admin, text, "csv")
    assert answer.status_code == 200, answer.content
    made = Target.objects.get()
    assert sorted(each.name for each in made.groups.all()) == ["shop; two", "web"]
    assert (made.port, made.tags, made.enabled) == (2222, ["a"], False)
    assert made.variables == {"port": 80, "role": "front"}
    assert Group.objects.get(name="eu").query == "env:prod"
    assert Group.objects.get(name="web").parents.get().name == "eu"


def test_each_mistake_of_a_csv_has_line_column_and_next_step(admin: APIClient) -> None:
    text = 'name,address,port,credential,host_key\nweb1,10.0.0.1,x,,\n"web\n2",10.0.0.2,,,\n'
    text += "web3,10.0.0.3,,gone,\n"
    errors = imported(admin, text + "web4,10.0.0.4,,,ssh-dss A,too,many\n", "csv").json()["errors"]
    told = [(each["line"], each["column"], each["field"]) for each in errors]
    assert told == [(2, 3, "port"), (6, None, ""), (3, 1, "name"), (5, 4, "credential")]
    assert errors[-1]["next_step"] == "Make it in the portal first, or leave the field out."
    [twice] = imported(admin, "name,address\nweb1,10.0.0.1\nWEB1,10.0.0.2\n", "csv").json()["errors"]
    assert (twice["line"], twice["message"]) == (3, "the same as row (web1) in line 2")
    columns = imported(admin, "name,adress\nweb1,x\n", "csv").json()["errors"]
    assert columns[0]["message"] == "unknown column 'adress'; did you mean 'address'?"


def test_json_mistakes_name_the_line_of_their_row(admin: APIClient) -> None:
    text = '{\n "hosts": [\n  {"name": "a", "address": "10.0.0.1"},\n\n  {"name": "b"}\n ]\n}'
    [error] = imported(admin, text, "json").json()["errors"]
    assert (error["line"], error["row"], error["field"]) == (5, "hosts[1] (b)", "address")
    [twice] = imported(admin, '{"hosts": [], "hosts": []}', "json").json()["errors"]
    assert "stands twice" in twice["message"]


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"])
def test_text_that_no_database_holds_is_refused(admin: APIClient, text: str) -> None:
    for key in (f'"tags": ["{text}"]', f'"variables": {{"x": "{text}"}}', f'"zone": "{text}"'):
        content = f'{{"hosts": [{{"name": "a", "address": "10.0.0.1", {key}}}]}}'
        assert imported(admin, content, "json").json()["code"] == "inventory.invalid", key
    for key in ("name", "description"):
        named = f'{{"groups": [{{"name": "g", "{key}": "{text}"}}]}}'.replace('"name": "g", "name"', '"name"')
        assert imported(admin, named, "json").json()["code"] == "inventory.invalid", key


def test_a_dry_run_tells_each_row_and_changes_nothing(admin: APIClient) -> None:
    target("web1", environment="dev")
    text = "name,address,environment,groups\nweb1,web1.example.org,prod,new\nweb2,10.0.0.2,,\n"
    told = imported(admin, text, "csv", dry_run=True).json()
    assert [(row["name"], row["done"]) for row in told["rows"]] == [
        ("new", "made"),
        ("web1", "changed"),
        ("web2", "made"),
    ]
    assert told["rows"][1]["changes"] == ["environment: dev → prod", "into new"]
    assert Target.objects.get().environment == "dev" and not Group.objects.exists()


def test_right_rows_are_imported_although_others_are_wrong_when_asked(admin: APIClient) -> None:
    text = "name,address,groups\nweb1,10.0.0.1,a\nweb2,-oX,b\nweb3,10.0.0.3,a\n"
    told = imported(admin, text, "csv", skip_wrong=True).json()
    assert [each["line"] for each in told["skipped"]] == [3]
    assert sorted(Target.objects.values_list("name", flat=True)) == ["web1", "web3"]
    assert Group.objects.get().name == "a"


def test_a_circle_of_groups_is_refused_as_a_whole(admin: APIClient) -> None:
    group("a")
    text = "kind,name,parents\ngroup,b,a\ngroup,a,b\n"
    answer = imported(admin, text, "csv", skip_wrong=True)
    assert answer.status_code == 400 and "circle" in answer.json()["errors"][0]["message"]
    assert not Group.objects.filter(name="b").exists()


def test_a_file_from_afar_cannot_read_the_portals_files(admin: APIClient) -> None:
    text = '{"hosts": [{"name": "a", "address": "10.0.0.1", "user": "x", "private_key": "/etc/passwd"}]}'
    [error] = imported(admin, text, "json").json()["errors"]
    assert error["field"] == "private_key" and "import_inventory" in error["message"]
    assert not Credential.objects.exists()


def test_logins_are_tied_to_addresses_only_by_who_may_write_credentials(people: dict[str, Any]) -> None:
    narrow = bearer(token_text(people["admin"], scopes=["inventory:write", "inventory:read"]))
    login = Credential.objects.create(name="ops", kind="password", username="ops")
    target("web1", credential=login)
    for text in ("web1,10.6.6.6,,,", "web2,10.0.0.2,ops,,", f"web3,10.0.0.3,,ops,{CANARY}"):
        answer = imported(narrow, f"name,address,credential,user,password\n{text}\n", "csv")
        assert answer.status_code == 400 and "credentials:write" in answer.json()["errors"][0]["message"]
        assert CANARY not in answer.content.decode()
    assert imported(narrow, "name,address\nweb2,10.0.0.2\n", "csv").status_code == 200


def test_a_groups_login_is_tied_to_addresses_only_by_who_may_write_credentials(
    people: dict[str, Any],
) -> None:
    narrow = bearer(token_text(people["admin"], scopes=["inventory:write", "inventory:read"]))
    login = Credential.objects.create(name="ops", kind="password", username="ops")
    group("web", credential=login)
    target("web1", "web")
    for text in ("web1,10.6.6.6,", "web2,10.0.0.2,web"):
        answer = imported(narrow, f"name,address,groups\n{text}\n", "csv")
        assert answer.status_code == 400 and "credentials:write" in answer.json()["errors"][0]["message"]
    wide = session(people["admin"])
    assert imported(wide, "name,address,groups\nweb2,10.0.0.2,web\n", "csv").status_code == 200


def test_only_a_person_vouches_for_host_keys(admin: APIClient, clients: dict[str, APIClient]) -> None:
    text = f"name,address,host_key\nweb1,10.0.0.1,ssh-ed25519 {HOST_KEY}\n"
    assert imported(clients["ai"], text, "csv", trust_host_keys=True).status_code == 403
    imported(admin, text, "csv", trust_host_keys=True)
    assert HostKey.objects.get().state == "trusted"


def test_the_api_writes_the_inventory_for_other_tools(admin: APIClient) -> None:
    target("web1", environment="prod")
    target("db1")
    answer = admin.get("/api/v1/inventory/export/", {"format": "http-sd", "environment": "prod"})
    assert [each["targets"] for each in answer.json()] == [["web1.example.org:9100"]]
    assert admin.get("/api/v1/inventory/export/", {"format": "xlsx"}).status_code == 400
    assert admin.get("/api/v1/inventory/export/", {"q": "grup:x"}).json()["errors"][0]["column"] == 1


def test_a_command_by_api_is_a_run_with_its_declared_effect(clients: dict[str, APIClient]) -> None:
    target("web1", environment="prod")
    body = {"command": "uptime", "effect": "destructive", "targets": "web1"}
    answer = clients["operator"].post("/api/v1/runs/command/", body)
    assert answer.status_code == 201, answer.content
    assert (answer.json()["risk"]["tier"], answer.json()["approvals_required"]) == ("destructive", 2)
    assert clients["operator"].post("/api/v1/runs/command/", body | {"effect": "nice"}).status_code == 400
    del body["effect"]
    refused = clients["operator"].post("/api/v1/runs/command/", body)
    assert refused.json()["errors"][0]["field"] == "effect"
