"""Faults of identity, login, shell and rights."""

from tests.hosts.faults.fault import RESTART_SSHD, Fault, by_script, by_sshd
from tests.hosts.machine import Host
from tests.hosts.tree import SUDO_FOR_OPS

_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


def _host_key(host: Host, _: tuple[float, ...]) -> None:
    new = f"rm -f {_HOST_KEY}*; ssh-keygen -q -t ed25519 -N '' -f {_HOST_KEY}"
    host.raw(f"set -e\n{new}\n{RESTART_SSHD}")


def _old_host_key(host: Host) -> None:
    for suffix, mode in (("", "600"), (".pub", "644")):
        text = (host.folder / f"seed{_HOST_KEY}{suffix}").read_text()
        host.raw(f"cat > {_HOST_KEY}{suffix}; chmod {mode} {_HOST_KEY}{suffix}", stdin=text)


_SUDO_BACK = f"printf '%s' '{SUDO_FOR_OPS}' > /etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops"

_BANNER = """
yes 'Authorised use only. \u00a9 \u001b[31mwarning\u001b[0m' | head -200 > /etc/issue.net
sed -i '1i echo "welcome, this is .bashrc of '$(hostname)'"; echo noise >&2' /home/ops/.bashrc
"""

# applets under their names, and from Debian only what a busybox system adds: bash and sudo
_BUSYBOX_PATH = "/opt/busybox/bin"
_BUSYBOX = f"""
mkdir -p {_BUSYBOX_PATH}
for applet in $(busybox --list | grep -vE '^(dpkg|dpkg-deb|init|linuxrc|reboot|poweroff|halt)$'); do
  ln -sf /usr/bin/busybox {_BUSYBOX_PATH}/$applet
done
ln -sf /usr/bin/bash /usr/bin/sudo {_BUSYBOX_PATH}
echo 'Defaults secure_path="{_BUSYBOX_PATH}"' > /etc/sudoers.d/busybox
chmod 440 /etc/sudoers.d/busybox
"""

_LOGIND = "/etc/systemd/logind.conf.d/fault.conf"
_RESTART_LOGIND = "systemctl restart systemd-logind"
_KILL_USER_PROCESSES = f"""
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nKillUserProcesses=yes\\n' > {_LOGIND}
{_RESTART_LOGIND}
"""

FAULTS = (
    Fault("host-key", "the host has a new host key", _host_key, _old_host_key),
    by_script(
        "key-refused",
        "the key of the inventory is no longer accepted",
        "mv /home/ops/.ssh/authorized_keys /home/ops/.ssh/authorized_keys.fault",
        clear="mv /home/ops/.ssh/authorized_keys.fault /home/ops/.ssh/authorized_keys",
    ),
    by_sshd(
        "password-only",
        "only password login",
        "PubkeyAuthentication no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n",
    ),
    by_sshd(
        "keyboard-interactive",
        "only keyboard-interactive login",
        "PubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n",
    ),
    by_script(
        "password-expired",
        "the account's password must be changed: login succeeds, then exit 1",
        "chage -d 0 ops",
        clear="chage -d $(date +%F) ops",
    ),
    by_script(
        "account-expired",
        "the account is past its end date: closed without a word",
        "chage -E 1 ops",
        clear="chage -E -1 ops",
    ),
    by_script(
        "account-locked",
        "no login shell (nologin)",
        "usermod -s /usr/sbin/nologin ops",
        clear="usermod -s /bin/bash ops",
    ),
    by_script(
        "sudo-password",
        "sudo wants a password",
        "echo 'ops ALL=(ALL) ALL' > /etc/sudoers.d/ops",
        clear=_SUDO_BACK,
    ),
    by_script(
        "sudo-none",
        "the account may not use sudo",
        "rm -f /etc/sudoers.d/ops; gpasswd -d ops sudo",
        clear=f"{_SUDO_BACK}; gpasswd -a ops sudo",
    ),
    by_sshd(
        "max-sessions",
        "one session only for each connection, and few connections",
        "MaxSessions 1\nMaxStartups 2:100:2\n",
    ),
    by_sshd(
        "force-command",
        "whatever is asked for, another command runs and ends well",
        "ForceCommand echo 'this account takes backups only'\n",
    ),
    by_sshd(
        "banner",
        "a long banner before login and a talkative .bashrc",
        "Banner /etc/issue.net\n",
        script=_BANNER,
        clear="sed -i 1d /home/ops/.bashrc",
    ),
    by_script(
        "slow-login",
        "SECONDS before each session starts (default 20)",
        'sed -i "1i session required pam_exec.so /bin/sleep ${1:-20}" /etc/pam.d/sshd',
        clear="sed -i 1d /etc/pam.d/sshd",
    ),
    by_script("csh-login", "the login shell is tcsh", "chsh -s /bin/tcsh ops", clear="chsh -s /bin/bash ops"),
    by_sshd(
        "busybox-userland",
        "login and sudo find busybox applets, bash and sudo, and nothing else",
        f"SetEnv PATH={_BUSYBOX_PATH}\n",
        script=_BUSYBOX,
        clear=f"rm -rf /etc/sudoers.d/busybox {_BUSYBOX_PATH}",
    ),
    by_script(
        "kill-user-processes",
        "logind ends what a session leaves behind when it closes (KillUserProcesses)",
        _KILL_USER_PROCESSES,
        clear=f"rm -f {_LOGIND}; {_RESTART_LOGIND}",
    ),
)
