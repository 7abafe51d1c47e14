"""Why this machine refuses a sandbox, and what its administrator can type to allow it."""

from __future__ import annotations

from pathlib import Path

INSTALL = """\
bubblewrap is needed for the practice hosts, and it is not installed:
  sudo apt-get install -y bubblewrap        (Debian, Ubuntu)
  sudo dnf install -y bubblewrap            (Fedora, RHEL)"""
APPARMOR = """\
This system's AppArmor lets ordinary users make no namespaces (Ubuntu 23.10 and newer). Allow it for
bubblewrap alone, once, with these two commands:

  sudo tee /etc/apparmor.d/bwrap >/dev/null <<'PROFILE'
  abi <abi/4.0>,
  include <tunables/global>

  profile bwrap {bwrap} flags=(unconfined) {{
    userns,

    include if exists <local/bwrap>
  }}
  PROFILE
  sudo apparmor_parser --replace /etc/apparmor.d/bwrap"""
USERNS_OFF = """\
This system lets ordinary users make no namespaces. Allow it until the next restart with:
  sudo sysctl -w kernel.unprivileged_userns_clone=1"""
USERNS_NONE = """\
This system's limit of user namespaces is 0. Allow some until the next restart with:
  sudo sysctl -w user.max_user_namespaces=15000"""
CONTAINER = """\
In a container its runtime may forbid namespaces; `./ops demo` then needs a machine or a VM of its own."""


def explain(reason: str, *, bubblewrap: str | None, settings: Path = Path("/proc/sys")) -> str:
    """What to tell somebody on whose machine `reason` was found; `settings` are the kernel's."""
    if bubblewrap is None:
        return INSTALL
    said = f"No sandbox can be made here, so nothing was run. bubblewrap or the proof says:\n  {reason}\n\n"
    if _value(settings / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return said + APPARMOR.format(bwrap=bubblewrap)
    if _value(settings / "kernel/unprivileged_userns_clone") == "0":
        return said + USERNS_OFF
    if _value(settings / "user/max_user_namespaces") == "0":
        return said + USERNS_NONE
    return said + CONTAINER


def _value(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
