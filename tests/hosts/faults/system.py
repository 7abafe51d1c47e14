"""Faults of disk, packages and services."""

from tests.hosts.faults.fault import Fault, by_script

_LOCK_DPKG = r"""
systemd-run -q --collect --unit=fault-apt-lock perl -e '
  use Fcntl;
  for my $file ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock") {
    open(my $handle, ">>", $file) or die;
    push @kept, $handle;
    my $lock = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0);
    fcntl($handle, F_SETLK, $lock) or die "lock $file: $!";
  }
  sleep 1000000'
until grep -q POSIX /proc/locks; do sleep 0.05; done
"""

# all that ops can write to, and where root would spool; logind gives ops no /run/user/1000 meanwhile
_SPOOLS = "/home/ops /root /tmp /var/tmp /dev/shm /run/lock"
_USER_UNITS = "user@1000.service user-runtime-dir@1000.service"
_NO_SPOOL = f"""
systemctl stop {_USER_UNITS}
systemctl mask -q --runtime {_USER_UNITS}
for folder in {_SPOOLS}; do
  mount --bind $folder $folder
  mount -o remount,bind,ro $folder
done
"""

_NOEXEC = """
for folder in /home/ops /tmp /var/tmp; do
  mount --bind $folder $folder
  mount -o remount,bind,noexec $folder
done
"""

FAULTS: tuple[Fault, ...] = (
    by_script(
        "disk-full",
        "no byte is free",
        "head -c 10G /dev/zero > /var/.fault-filler 2>/dev/null || true",
        clear="rm -f /var/.fault-filler",
    ),
    by_script(
        "noexec",
        "the home, /tmp and /var/tmp are noexec",
        _NOEXEC,
        clear="umount -l /home/ops /tmp /var/tmp",
    ),
    by_script(
        "no-spool",
        "the login can write to no folder, and root neither to its home nor to the temporary ones",
        _NO_SPOOL,
        clear=f"umount -l {_SPOOLS}; systemctl unmask -q --runtime {_USER_UNITS}",
    ),
    by_script(
        "apt-locked",
        "another process holds the dpkg lock",
        _LOCK_DPKG,
        clear="systemctl stop fault-apt-lock",
    ),
    by_script(
        "repo-gone",
        "the apt repository is not there",
        "mv /srv/apt-repo /srv/apt-repo.gone",
        clear="mv /srv/apt-repo.gone /srv/apt-repo",
    ),
    by_script(
        "bad-package",
        "the repository has a later nginx whose installation fails",
        "echo 'deb [trusted=yes] file:/srv/apt-repo-bad ./' > /etc/apt/sources.list.d/bad.list",
        clear="rm -f /etc/apt/sources.list.d/bad.list",
    ),
    by_script(
        "nginx-conf",
        "the nginx configuration is broken: a restart fails",
        "echo 'this is { not nginx' > /etc/nginx/conf.d/fault.conf",
        clear="rm -f /etc/nginx/conf.d/fault.conf; systemctl reset-failed nginx; systemctl restart nginx",
    ),
)
