"""The command line.

  python -m tests.hosts up 3              web1, web2, web3; prints the inventory (JSON)
  python -m tests.hosts up web=3,db=1     roles; also inner=K: K hosts behind bastion1
  python -m tests.hosts status            what is up, with faults and memory (JSON)
  python -m tests.hosts inventory         what import_inventory reads (JSON)
  python -m tests.hosts exec HOST CMD...  over SSH, as a user would
  python -m tests.hosts raw HOST CMD...   past the network, as root inside the host
  python -m tests.hosts faults            names of the faults
  python -m tests.hosts fault NAME HOST [NUMBER...]    and: fault clear HOST
  python -m tests.hosts reset HOST...     those hosts as new
  python -m tests.hosts down              removes all that `up` made, nothing else
  python -m tests.hosts purge             down, and the cached tree too

Needs Linux, root, debootstrap, nftables, iproute2, util-linux, openssh-client.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.faults import registry
from tests.hosts.lifecycle import HostSet
from tests.hosts.place import DEFAULT_BASE, Place
from tests.hosts.prerequisites import missing
from tests.hosts.processes import HostsError
from tests.hosts.tree import Source


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 and a message on stderr when it cannot be done."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except HostsError as error:
        _say(f"hosts: {error}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hosts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dir", type=Path, default=DEFAULT_BASE, help="where all is kept (default %(default)s)"
    )
    parser.add_argument("--tag", default="opsh", help="prefix of all names made: another tag, another set")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("spec", help="3, or web=3,db=1")
    up.add_argument("--suite", help="of Debian; default: this machine's")
    up.add_argument("--mirror", help="default: the one that apt on this machine uses")
    up.add_argument("--disk-mb", type=int, default=256, help="disk of each host, kept in memory")
    for name in ("down", "purge", "status", "inventory", "faults"):
        commands.add_parser(name)
    for name in ("exec", "raw"):
        command = commands.add_parser(name)
        command.add_argument("host")
        command.add_argument("words", nargs=argparse.REMAINDER)
    fault = commands.add_parser("fault")
    fault.add_argument("name", help="one of `faults`, or clear")
    fault.add_argument("host")
    fault.add_argument("numbers", nargs="*", type=float)
    commands.add_parser("reset").add_argument("hosts", nargs="+")
    return parser


def _run(args: argparse.Namespace) -> int:
    if args.command == "faults":
        sys.stdout.write("".join(f"{fault.name:22}{fault.effect}\n" for fault in registry.ALL.values()))
        return 0
    if os.geteuid() != 0:
        raise HostsError("\n".join(missing()))
    commands = {
        "up": _up,
        "exec": _exec,
        "raw": _raw,
        "fault": _fault,
        "reset": _reset,
        "status": _status,
        "inventory": _inventory,
        "down": _down,
        "purge": _purge,
    }
    return commands[args.command](HostSet(Place(args.tag, args.dir), _say), args)


def _up(hosts: HostSet, args: argparse.Namespace) -> int:
    try:
        inventory = hosts.up(
            args.spec,
            source=Source(args.suite, args.mirror),
            disk_mb=args.disk_mb,
        )
    except BaseException:
        _say("up did not succeed; `down` removes what there is")
        raise
    return _print(inventory)


def _exec(hosts: HostSet, args: argparse.Namespace) -> int:
    hosts.host(args.host)
    argv = ["ssh", "-F", hosts.inventory()["ssh_config"], args.host, *args.words]
    return subprocess.run(argv, check=False).returncode


def _raw(hosts: HostSet, args: argparse.Namespace) -> int:
    argv = hosts.host(args.host).inside_argv(("bash", "-c", " ".join(args.words)), limited=True)
    return subprocess.run(argv, check=False).returncode


def _fault(hosts: HostSet, args: argparse.Namespace) -> int:
    if args.name == "clear":
        registry.clear(hosts, args.host)
    else:
        registry.put_on(hosts, args.host, args.name, tuple(args.numbers))
    _say(f"{args.host}: {args.name}")
    return 0


def _reset(hosts: HostSet, args: argparse.Namespace) -> int:
    for name in args.hosts:
        hosts.reset(name)
    return 0


def _status(hosts: HostSet, _: argparse.Namespace) -> int:
    return _print(hosts.status())


def _inventory(hosts: HostSet, _: argparse.Namespace) -> int:
    return _print(hosts.inventory())


def _down(hosts: HostSet, _: argparse.Namespace) -> int:
    hosts.down()
    return 0


def _purge(hosts: HostSet, _: argparse.Namespace) -> int:
    hosts.purge()
    return 0


def _print(data: object) -> int:
    sys.stdout.write(json.dumps(data, indent=1) + "\n")
    return 0


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
