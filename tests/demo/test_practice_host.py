"""A practice host behaves as a real one where the product looks: SSH, sudo, and scripts that outlive us."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.envelope import Control, End, Fenced, run
from automation.libraries.errors import AuthFailed, AuthMethodUnavailable, ConnectionLost, HostKeyChanged
from automation.libraries.linux_ssh import LinuxSSHLibrary
from automation.libraries.ssh_connection import connect
from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret
from opsportal.demo.hosts import NEW, OLD
from opsportal.demo.server import page_answer
from tests.demo.practice import Practice
from tests.libraries.envelope.login import Login, eventually, soon

VERSION = "dpkg-query -W -f '${db:Status-Abbrev}${Version}' nginx"


def sh(practice: Practice, script: str, *, become: bool = False) -> tuple[int | None, str]:
    result = LinuxSSHLibrary().execute_bash(
        practice.endpoint, script, practice.credentials, become=become, timeout=60
    )
    return result.exit_code, result.stdout.decode()


def test_a_script_runs_with_its_output_errors_outputs_and_code(practice: Practice) -> None:
    with practice.login() as login:
        end, output = login.run(b'echo out; echo err >/dev/stderr; echo k=v >>"$OPSPORTAL_OUTPUT"; exit 3')
    assert end == End("ended", 3, {"k": "v"}, 4, 4, ())
    assert (output.stdout, output.stderr) == (b"out\n", b"err\n")


@pytest.mark.parametrize("become", [False, True])
def test_a_pooled_connection_carries_one_order_after_the_other(practice: Practice, become: bool) -> None:
    manager = ConnectionManager()
    for number in range(3):
        with manager.connection(practice.endpoint, practice.credentials) as connection:
            _, output = Login(connection, become=become).run(b"echo %d" % number)
        assert output.stdout == b"%d\n" % number
    assert manager.stats.logins == 1
    manager.close()


@pytest.mark.parametrize("become", [False, True])
def test_a_script_outlives_its_connection_and_is_read_on(practice: Practice, become: bool) -> None:
    gate = f"/var/tmp/gate-{become}"
    with practice.login(become=become) as login:
        order = login.order(
            b"echo one; until [ -e %s ]; do sleep 0.05; done; echo two; exit 7" % gate.encode()
        )

        def cut(_stream: str, _data: bytes) -> None:
            threading.Thread(target=login.connection.close).start()

        with pytest.raises(ConnectionLost) as caught:
            run(
                login.connection,
                order,
                on_started=lambda: None,
                on_output=cut,
                control=Control(),
                deadline=soon(),
            )
    assert caught.value.sent
    assert sh(practice, f"touch {gate}") == (0, "")
    with practice.login(become=become) as other:
        end, output = other.reclaim(order.attempt, offsets=(4, 0))
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (7, b"two\n")


def test_a_cancel_ends_the_script_and_all_it_started(practice: Practice) -> None:
    control = Control()
    with practice.login(become=True) as login:
        threading.Timer(0.5, control.cancel).start()
        end, _ = login.run(login.order(b"sleep 4242 & sleep 4242"), control)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("cancelled", 143)
    assert sh(practice, "grep -l 4242 /proc/[0-9]*/cmdline | grep -v $$ | wc -l")[1].strip() in ("0", "1")


def test_a_fence_is_proven_from_the_sandboxs_own_start(practice: Practice) -> None:
    with practice.login() as login:
        fenced, _ = login.reclaim("c" * 32)
    assert isinstance(fenced, Fenced) and fenced.proven


def test_sudo_drops_the_environment(practice: Practice) -> None:
    assert sh(practice, "KEPT=no sudo -n sh -c 'echo ${KEPT-gone} $HOME $SUDO_USER'") == (
        0,
        "gone /root ops\n",
    )


def test_an_update_changes_versions_and_can_be_taken_back(practice: Practice) -> None:
    old, new = f"ii {OLD}", f"ii {NEW}"
    assert sh(practice, VERSION) == (0, old)
    install = "apt-get -q -y install --only-upgrade -- nginx"
    assert "already the newest" in sh(practice, install, become=True)[1]
    assert sh(practice, f"apt-get -q update && {install}", become=True)[0] == 0
    assert sh(practice, VERSION) == (0, new)
    back = f"apt-get -q -y --allow-downgrades install nginx={OLD} nginx-common={OLD}"
    assert sh(practice, back.replace("--allow-downgrades ", ""), become=True)[0] == 100
    assert sh(practice, back, become=True)[0] == 0
    assert sh(practice, VERSION) == (0, old)


def test_a_bad_package_is_left_half_configured(practice: Practice) -> None:
    assert sh(practice, "sudo practice-fault bad-package; sudo apt-get -q update")[0] == 0
    assert sh(practice, "apt-get -q -y install nginx", become=True)[0] == 100
    assert sh(practice, VERSION) == (0, f"iF {NEW}")
    assert sh(practice, "systemctl is-active nginx") == (3, "inactive\n")
    sh(practice, "sudo practice-fault mend; sudo practice-fault reset")
    assert sh(practice, f"{VERSION}; systemctl is-active nginx") == (0, f"ii {OLD}active\n")


def test_a_broken_configuration_keeps_nginx_from_starting(practice: Practice) -> None:
    sh(practice, "echo 'server {' >/etc/nginx/conf.d/broken.conf")
    assert sh(practice, "nginx -q -t")[0] == 1
    assert sh(practice, "sudo systemctl restart nginx")[0] == 1
    assert sh(practice, "rm /etc/nginx/conf.d/broken.conf; sudo systemctl restart nginx")[0] == 0


def test_a_reboot_ends_everything_and_begins_anew(practice: Practice) -> None:
    with practice.login() as login:
        before = login.probe.boot
    first = practice.sandbox.pid
    with contextlib.suppress(ConnectionLost):
        sh(practice, "sleep 1000 & sudo reboot; sleep 30")
    eventually(lambda: (now := practice.running.sandbox) and now.pid != first)
    with practice.login() as login:
        assert login.probe.boot != before
    assert not Path(f"/proc/{first}").exists()


def test_another_key_another_user_and_another_host_key_are_refused(practice: Practice) -> None:
    with pytest.raises(AuthFailed):
        connect(practice.endpoint, Credentials("root", private_key=practice.credentials.private_key))
    with pytest.raises(AuthMethodUnavailable):
        connect(practice.endpoint, Credentials("ops", password=Secret("anything")))
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJv0pJ4cuiT1Xm3mS0ZAoHfQDgWuVlGqRWxq8sWr1Wrj"
    with pytest.raises(HostKeyChanged):
        connect(Endpoint("127.0.0.1", practice.host.ssh, (key,)), practice.credentials)


def test_its_page_says_that_it_is_a_practice_host(practice: Practice) -> None:
    with urlopen(f"http://127.0.0.1:{practice.host.page}/", timeout=20) as answer:
        text = answer.read().decode()
    assert re.search(r"<title>Practice host web-1</title>.*nginx 1\.22\.1-9\+deb12u9 is running", text)


def test_what_a_host_says_is_text_on_its_page() -> None:
    assert b"nginx &lt;script&gt; is running" in page_answer("web-1", "<script>", active=True)
