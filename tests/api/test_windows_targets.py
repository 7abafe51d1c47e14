"""Windows targets by API, and from files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from automation.models import HostCertificateAuthority, HostKey, Target
from credentials.models import Credential
from tests.libraries.windows.certificates import Authority

URL = "/api/v1/targets/"
WINDOWS = {"name": "win-1", "address": "10.0.0.1", "platform": "windows"}
PIN = "ab" * 32
INI = """
[win]
win-1 ansible_host=10.0.0.1
win-2 ansible_host=10.0.0.2 ansible_port=5985 ansible_winrm_transport=kerberos
[win:vars]
ansible_connection=winrm
ansible_winrm_transport=ntlm
ansible_winrm_server_cert_validation=ignore
"""


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


def test_a_windows_target_is_reached_over_winrm_and_https(admin: APIClient) -> None:
    made = admin.post(URL, WINDOWS | {"winrm": {"method": "kerberos"}})
    assert made.status_code == 201, made.content
    assert (made.json()["transport"], made.json()["port"]) == ("winrm", 5986)
    assert made.json()["winrm"] == {"method": "kerberos"}


def test_plain_http_has_its_own_port(admin: APIClient) -> None:
    assert admin.post(URL, WINDOWS | {"winrm": {"https": False}}).json()["port"] == 5985


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"transport": "ssh"}, "transport", "reached over winrm"),
        ({"winrm": {"method": "certificates"}}, "winrm", "is one of"),
        ({"winrm": {"verify": False}}, "winrm", "no setting 'verify'"),
        ({"winrm": {"https": "no"}}, "winrm", "true or false"),
        ({"winrm": {"method": "basic", "https": False}}, "winrm", "would show the password"),
        ({"winrm": {"service_name": "a b"}}, "winrm", "service_name"),
        ({"winrm": []}, "winrm", "an object"),
        ({"platform": "linux", "winrm": {"method": "ntlm"}}, "winrm", "over winrm has these"),
    ],
)
def test_what_is_wrong_with_its_settings_is_named(
    admin: APIClient, fields: dict[str, Any], field: str, told: str
) -> None:
    answer = admin.post(URL, WINDOWS | fields)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    [error] = answer.json()["errors"]
    assert error["field"].split(".")[0] == field and told in error["message"]
    assert not Target.objects.exists()


def test_a_certificate_is_pinned_as_a_host_key(admin: APIClient) -> None:
    target = admin.post(URL, WINDOWS).json()["id"]
    shown = ":".join(PIN[i : i + 2] for i in range(0, 64, 2)).upper()
    made = admin.post("/api/v1/host-keys/", {"target": target, "key_type": "x509-sha256", "key": shown})
    assert made.status_code == 201, made.content
    assert admin.post(f"/api/v1/host-keys/{made.json()['id']}/trust/").status_code == 200
    assert Target.objects.get().trusted_keys() == [f"x509-sha256 {PIN}"]
    wrong = admin.post("/api/v1/host-keys/", {"target": target, "key_type": "x509-sha256", "key": "ab"})
    assert wrong.status_code == 400 and "64 hexadecimal digits" in wrong.json()["detail"]
    assert HostKey.objects.count() == 1


@pytest.mark.parametrize("name", ["EXAMPLE\\ops", "ops@EXAMPLE.COM"])
def test_a_login_names_its_domain_in_either_form(admin: APIClient, name: str) -> None:
    given = {"name": "domain", "kind": "password", "username": name, "password": "hunter2hunter2"}
    made = admin.post("/api/v1/credentials/", given)
    assert made.status_code == 201, made.content
    assert Credential.objects.get().username == name and "hunter2" not in made.content.decode()


def test_an_authority_must_be_one(admin: APIClient) -> None:
    authority = Authority("ours")
    leaf, _ = authority.issue("win-1")
    answers = [
        admin.post("/api/v1/host-certificate-authorities/", {"name": name, "key_type": "x509", "key": pem})
        for name, pem in (("leaf", leaf), ("ours", authority.pem))
    ]
    assert [answer.status_code for answer in answers] == [400, 201], answers[1].content
    assert "may not sign others" in answers[0].json()["detail"]
    assert HostCertificateAuthority.objects.get().name == "ours"


def imported(client: APIClient, text: str, file_format: str) -> Any:
    answer = client.post("/api/v1/inventory/import/", {"format": file_format, "content": text})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_ansible_says_how_windows_is_reached_and_certificates_stay_verified(admin: APIClient) -> None:
    notices = " ".join(imported(admin, INI, "ansible")["notices"])
    first, second = Target.objects.order_by("name")
    assert (first.platform, first.transport, first.port) == ("windows", "winrm", 5986)
    assert first.winrm == {"method": "ntlm"}
    assert (second.port, second.winrm) == (5985, {"https": False, "method": "kerberos"})
    assert "certificates are verified here" in notices


def test_json_and_csv_carry_the_settings(admin: APIClient) -> None:
    row = {"name": "a", "address": "10.0.0.1", "platform": "windows", "winrm": {"method": "ntlm"}}
    imported(admin, json.dumps({"hosts": [row]}), "json")
    imported(admin, 'name;address;platform;winrm\nb;10.0.0.2;windows;{"https": false}\n', "csv")
    settings = dict(Target.objects.values_list("name", "winrm"))
    assert settings == {"a": {"method": "ntlm"}, "b": {"https": False}}
    assert set(Target.objects.values_list("transport", flat=True)) == {"winrm"}
