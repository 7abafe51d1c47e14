"""`import_inventory`: all or nothing, and the same again changes nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management.base import CommandError

from automation.models import Group, HostKey, Target
from credentials.models import Credential
from tests.api.conftest import HOST_KEY, OTHER_HOST_KEY
from tests.commands.conftest import Run
from tests.credentials.kerberos import keytab
from tests.libraries.windows.certificates import Authority

LINE = f"ssh-ed25519 {HOST_KEY}"
PASSWORD = "canary-7hG2kQ9vXw4LpZt1Rb6Y"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "id_ed25519"
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    file.write_bytes(made)
    return file


@pytest.fixture
def inventory(tmp_path: Path, key: Path) -> Any:
    """Writes an inventory of web1 to webN, each with `fields`, and gives its path."""

    def write(count: int = 2, **fields: Any) -> str:
        hosts = [
            {"name": f"web{n}", "address": f"10.0.0.{n}", "port": 22, "user": "ops", "role": "web"}
            | {"private_key": str(key), "host_key": LINE}
            | fields
            for n in range(1, count + 1)
        ]
        file = tmp_path / "inventory.json"
        file.write_text(json.dumps({"hosts": hosts, "ssh_config": "/x"}))
        return str(file)

    return write


def test_rows_become_targets_with_group_login_and_key(run: Run, inventory: Any) -> None:
    out, err = run("import_inventory", inventory(), "--trust-host-keys")
    assert out == "Imported: 1 credentials made, 1 groups made, 2 host keys trusted, 2 targets made.\n"
    assert "'ssh_config' is not read" in err
    target = Target.objects.get(name="web1")
    assert (target.address, target.groups.get().name) == ("10.0.0.1", "web")
    assert target.trusted_keys() == [LINE]
    assert target.host_keys.get().decided_at is not None
    credential = Credential.objects.get()
    assert (credential.name, credential.username, credential.kind) == (
        "ops (id_ed25519)",
        "ops",
        "private_key",
    )
    assert target.credential == credential


def test_the_same_again_changes_nothing(run: Run, inventory: Any) -> None:
    file = inventory()
    run("import_inventory", file, "--trust-host-keys")
    out, _ = run("import_inventory", file, "--trust-host-keys")
    assert out == "Imported: 2 targets unchanged.\n"
    assert (Target.objects.count(), Credential.objects.count(), HostKey.objects.count()) == (2, 1, 2)


def test_without_the_flag_keys_wait_for_a_person(run: Run, inventory: Any) -> None:
    _, err = run("import_inventory", inventory())
    assert {key.state for key in HostKey.objects.all()} == {"pending"}
    assert "is pending" in err


def test_a_row_changes_what_it_says_and_leaves_the_rest(run: Run, inventory: Any) -> None:
    run("import_inventory", inventory(environment="prod", tags=["a"]))
    target = Target.objects.get(name="web1")
    target.groups.add(Group.objects.create(name="mine"))
    out, _ = run("import_inventory", inventory(address="10.9.9.9"))
    target.refresh_from_db()
    assert (target.address, target.environment, target.tags) == ("10.9.9.9", "prod", ["a"])
    assert {group.name for group in target.groups.all()} == {"web", "mine"}
    assert "2 targets changed" in out


def test_passwords_are_stored_once_and_shown_never(run: Run, inventory: Any, tmp_path: Path) -> None:
    file = Path(inventory())
    data = json.loads(file.read_text())
    for host in data["hosts"]:
        del host["private_key"]
        host["password"] = PASSWORD
    file.write_text(json.dumps(data))
    out, err = run("import_inventory", str(file))
    assert Credential.objects.get().name == "ops (password)"
    data["hosts"][0]["password"] = PASSWORD + "2"
    file.write_text(json.dumps(data))
    run("import_inventory", str(file))
    assert [c.name for c in Credential.objects.order_by("pk")] == ["ops (password)", "ops (password) 2"]
    data["hosts"][0] |= {"password": PASSWORD + "\n", "prot": 1}
    file.write_text(json.dumps(data))
    with pytest.raises(CommandError) as caught:
        run("import_inventory", str(file))
    assert PASSWORD not in out + err + str(caught.value)


def test_a_new_key_beside_a_trusted_one_is_an_alarm_not_trust(run: Run, inventory: Any) -> None:
    run("import_inventory", inventory(1), "--trust-host-keys")
    run("import_inventory", inventory(1, host_key=f"ssh-ed25519 {OTHER_HOST_KEY}"))
    assert [key.state for key in HostKey.objects.order_by("pk")] == ["trusted", "changed"]


def test_a_revoked_key_stays_revoked(run: Run, inventory: Any) -> None:
    run("import_inventory", inventory(1), "--trust-host-keys")
    HostKey.objects.get().revoke(by=None)
    _, err = run("import_inventory", inventory(1), "--trust-host-keys")
    assert HostKey.objects.get().state == "revoked"
    assert "was revoked and stays so" in err


def test_a_dry_run_writes_nothing(run: Run, inventory: Any) -> None:
    out, _ = run("import_inventory", inventory(), "--dry-run")
    assert out.startswith("Would import: ")
    assert not Target.objects.exists()
    assert not Credential.objects.exists()


def test_one_wrong_row_imports_nothing_and_every_mistake_is_named(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "inventory.json"
    good = {"name": "web1", "address": "10.0.0.1"}
    rows = [
        good,
        {"name": "web2", "adress": "10.0.0.2"},
        {"name": "WEB1", "address": "10.0.0.3"},
        {"name": "web4", "address": "-oX", "port": 99999},
        {"name": "web5", "address": "10.0.0.5", "user": "ops"},
        {"name": "web6", "address": "10.0.0.6", "user": "ops", "private_key": "missing"},
        {"name": "web7", "address": "10.0.0.7", "host_key": "ssh-dss AAAA"},
        {"name": "web8", "address": "10.0.0.8", "variables": {"PATH": "x"}},
        {"name": "web9", "address": "10.0.0.9", "port": "22"},
        "web10",
    ]
    file.write_text(json.dumps({"hosts": rows}))
    with pytest.raises(CommandError) as caught:
        run("import_inventory", str(file))
    text = str(caught.value)
    for number in (1, 2, 4, 5, 6, 7, 8, 9):
        assert f"hosts[{number}]" in text
    assert "did you mean 'address'" in text
    assert "the same as hosts[0] (web1)" in text
    assert not Target.objects.exists()
    file.write_text(json.dumps({"hosts": [good, rows[3]]}))
    with pytest.raises(CommandError, match=r"hosts\[1\] \(web4\): address: "):
        run("import_inventory", str(file))
    assert not Target.objects.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hosts": 1}', '{"hosts": [', "\x00"])
def test_a_file_that_is_no_inventory_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "inventory.json"
    file.write_text(text)
    with pytest.raises(CommandError, match="Nothing was imported"):
        run("import_inventory", str(file))


def test_a_file_of_another_format_is_refused_and_not_quoted(run: Run, inventory: Any) -> None:
    for other in ("csv", "ansible"):
        with pytest.raises(CommandError) as caught:
            run("import_inventory", inventory(password=PASSWORD), "--format", other)
        assert PASSWORD not in str(caught.value)


def hosts_file(folder: Path, *hosts: dict[str, Any]) -> str:
    file = folder / "hosts.json"
    file.write_text(json.dumps({"hosts": [{"address": "10.0.0.1"} | host for host in hosts]}))
    return str(file)


def test_a_target_is_put_behind_one_further_down_in_the_file(run: Run, tmp_path: Path) -> None:
    file = hosts_file(tmp_path, {"name": "app", "bastion": "Gate"}, {"name": "gate"})
    out, _ = run("import_inventory", file)
    assert out == "Imported: 1 bastions set, 2 targets made.\n"
    bastion = Target.objects.get(name="app").bastion
    assert bastion == Target.objects.get(name="gate")
    assert run("import_inventory", file)[0] == "Imported: 2 targets unchanged.\n"


def test_bastions_that_are_not_there_or_lead_in_a_circle_import_nothing(run: Run, tmp_path: Path) -> None:
    file = hosts_file(
        tmp_path,
        {"name": "app", "bastion": "gote"},
        {"name": "gate", "bastion": "inner"},
        {"name": "inner", "bastion": "gate"},
    )
    with pytest.raises(CommandError) as caught:
        run("import_inventory", file)
    assert "There is no target 'gote'; did you mean 'gate'?" in str(caught.value)
    assert "circle" in str(caught.value)
    assert not Target.objects.exists()


def windows_inventory(folder: Path, **login: str) -> str:
    host = {"name": "win1", "address": "win1.example.com", "platform": "windows", **login}
    file = folder / "windows.json"
    file.write_text(json.dumps({"hosts": [host]}))
    return str(file)


def test_a_keytab_is_read_from_its_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ops.keytab").write_bytes(base64.b64decode(keytab("ops@EXAMPLE.COM")))
    inventory = windows_inventory(tmp_path, user="ops@EXAMPLE.COM", keytab="ops.keytab")
    run("import_inventory", inventory)
    run("import_inventory", inventory)
    credential = Credential.objects.get()
    assert (credential.kind, Target.objects.get().credential) == ("keytab", credential)
    with pytest.raises(CommandError, match=r"holds no key of other@EXAMPLE\.COM"):
        run("import_inventory", windows_inventory(tmp_path, user="other@EXAMPLE.COM", keytab="ops.keytab"))


def test_a_client_certificate_is_read_with_its_key(run: Run, tmp_path: Path) -> None:
    for name, text in zip(("a.pem", "a.key"), Authority("x").issue("ops", client=True), strict=True):
        (tmp_path / name).write_text(text)
    login = {"user": "ops", "private_key": "a.key", "client_certificate": "a.pem"}
    run("import_inventory", windows_inventory(tmp_path, **login))
    run("import_inventory", windows_inventory(tmp_path, **login))
    credential = Credential.objects.get()
    assert credential.kind == "client_certificate" and credential.expires_at is not None
    login.pop("private_key")
    with pytest.raises(CommandError, match="private_key and client_certificate"):
        run("import_inventory", windows_inventory(tmp_path, **login))
