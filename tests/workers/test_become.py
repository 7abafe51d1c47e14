"""Steps that become root, on a real host whose sudo asks for a password."""

import pytest

from automation.models import Group, HostKey, Target
from credentials.models import Credential
from credentials.secret import Secret
from tests.hosts.client import Hosts
from tests.workers.spine import Spine

BECOME = """
    name: become
    steps:
      - {name: look, effect: read, become: true, run: {bash: '[ "$(id -u)" = 0 ]'}}
      - {name: change, become: true, run: {bash: '[ "$(id -u)" = 0 ]'}}
"""


@pytest.mark.hosts
@pytest.mark.parametrize("known", [True, False])
def test_a_sudo_that_asks_gets_the_password_of_the_credential(
    spine: Spine, fresh_hosts: Hosts, known: bool
) -> None:
    fresh_hosts.fault("web1", "sudo-password")
    entry = fresh_hosts.inventory()["hosts"][0]
    credential = Credential(name="ops", kind="private_key", username=entry["user"])
    password = Secret(fresh_hosts.password) if known else None
    credential.set_secrets(private_key=Secret(fresh_hosts.private_key.read_text()), become_password=password)
    target = Target.objects.create(name="web1", address=entry["address"], credential=credential)
    target.groups.add(Group.objects.create(name="web"))
    key_type, key = entry["host_key"].split()
    HostKey.objects.saw(target, key_type, key, HostKey.State.PENDING).trust(by=spine.person)

    run = spine.run(BECOME)
    if known:
        assert spine.states(run) == {"web1": ["succeeded", "succeeded"]}
    else:
        assert spine.states(run) == {"web1": ["failed", "skipped"]}
        assert "become.password_required" in spine.codes(run)
