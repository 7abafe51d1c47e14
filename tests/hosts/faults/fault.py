"""What a fault is, and the two common ways to make one."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.hosts.machine import Host

Apply = Callable[[Host, tuple[float, ...]], None]
Clear = Callable[[Host], None]


def nothing(host: Host) -> None:
    """For faults that mending the network, a restart of sshd or a boot clears: each `clear` does these."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be wrong. passing: it is over by itself, so there is nothing to clear."""

    name: str
    effect: str
    apply: Apply
    clear: Clear = nothing
    passing: bool = False


def by_script(name: str, effect: str, script: str, *, clear: str = "true") -> Fault:
    """A bash script inside the host makes the fault, another takes it away. `$1` is the first argument."""

    def apply(host: Host, numbers: tuple[float, ...]) -> None:
        words = " ".join(f"{number:g}" for number in numbers)
        host.raw(f"set -e -- {words}\n{script}")

    def undo(host: Host) -> None:
        host.raw(clear, check=False)

    return Fault(name, effect, apply, undo)


def by_sshd(name: str, effect: str, settings: str, *, script: str = "true", clear: str = "true") -> Fault:
    """Settings of sshd make the fault; every other connection that is open stays as it is."""
    path = f"/etc/ssh/sshd_config.d/00-fault-{name}.conf"  # the first value found counts, so 00

    def apply(host: Host, _: tuple[float, ...]) -> None:
        host.raw(f"set -e\n{script}\ncat > {path}\nsshd -t\n{RESTART_SSHD}", stdin=settings)

    def undo(host: Host) -> None:
        host.raw(f"{clear}\nrm -f {path}", check=False)

    return Fault(name, effect, apply, undo)


# systemd refuses more than five starts in ten seconds unless its count is cleared
RESTART_SSHD = "systemctl reset-failed ssh; systemctl restart ssh"
