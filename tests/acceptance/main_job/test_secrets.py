"""A login's secret is nowhere but in the encrypted column and in the connection it opens."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from aiworkflows.automation_client import AutomationClient
from tests.acceptance.main_job.installation import Installation
from tests.hosts.client import Hosts

LOOK_EVERYWHERE = """
cat /proc/*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'
ps -eww -o args
sleep 2
"""


def forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield from (raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode(), raw.hex().encode())
    yield raw.decode().encode("utf-16-le")
    for shift in range(3):
        whole = base64.b64encode(b"x" * shift + raw)
        yield whole[4 if shift else 0 : -4]


def holds(data: bytes, secret: str) -> bool:
    return any(form in data for form in forms(secret))


@pytest.fixture(scope="module")
def admin_token(installation: Installation) -> str:
    installation.manage(
        "create_user", "root", "--role", "admin", "--password-stdin", stdin="nobody guesses this\n"
    )
    return installation.token("root", "person", "admin")


def processes_of(installation: Installation) -> Iterator[bytes]:
    for pid in installation.portal.pids():
        for name in ("cmdline", "environ"):
            yield Path(f"/proc/{pid}/{name}").read_bytes()


def answers(installation: Installation, token: str) -> Iterator[bytes]:
    """Every list of the API, and all that hangs off the newest run."""
    url = f"http://127.0.0.1:{installation.portal.port}/api/v1/"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        for path in (
            "targets/",
            "groups/",
            "credentials/",
            "host-keys/",
            "workflows/",
            "runs/",
            "proposals/",
        ):
            answer = client.get(path)
            assert answer.status_code == 200, path
            yield answer.content
        run = client.get("runs/").json()["results"][0]["id"]
        for part in ("", "results/", "events/", "output/?target=web1&step=look"):
            yield client.get(f"runs/{run}/{part}").content


def carry_out(client: AutomationClient, installation: Installation) -> tuple[int, list[bytes]]:
    """A run that looks around on its target, and what was seen of our own processes meanwhile."""
    steps = [
        {"name": "look", "effect": "read", "become": True, "run": {"bash": LOOK_EVERYWHERE}},
        {"name": "change", "become": True, "run": {"bash": LOOK_EVERYWHERE}},
    ]
    run = client.submit({"name": "look-everywhere", "steps": steps}, targets="group:canary")
    seen = []
    while (status := client.status(run.id).status) in ("queued", "running"):
        seen += list(processes_of(installation))
        time.sleep(0.3)
    assert status == "succeeded", list(client.results(run.id))
    return run.id, seen


def test_the_password_of_a_login_is_found_nowhere(
    installation: Installation, fresh_hosts: Hosts, admin_token: str
) -> None:
    canary = fresh_hosts.password
    fresh_hosts.fault("web1", "password-only")
    entry = {**fresh_hosts.inventory()["hosts"][0], "password": canary, "groups": ["canary"]}
    entry.pop("private_key")
    installation.load({"hosts": [entry]})
    with installation.client(admin_token) as client:
        run, seen = carry_out(client, installation)
        steps = [b"".join(client.logs(run, "web1", step)) for step in ("look", "change")]
    assert all(b"sshd" in output for output in steps)
    assert not any(b"********" in output for output in steps), "only masking hid what the target saw"
    files = [
        file.read_bytes()
        for file in installation.data.rglob("*")
        if file.is_file() and file.name != "inventory.json"
    ]
    files.append(installation.portal.log.read_bytes())
    found = [*seen, *steps, *files, *answers(installation, admin_token)]
    assert len(seen) > 10
    assert not [data[:200] for data in found if holds(data, canary)]
