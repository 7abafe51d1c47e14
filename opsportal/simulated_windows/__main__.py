"""`python -m opsportal.simulated_windows`: a simulated Windows target as a process of its own.

It prints one line of JSON once it listens (`endpoint`, `port`, `simulated`), and runs until SIGTERM or an
interrupt. Passwords come from a file, never by argument.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from opsportal.simulated_windows.behaviours import Piece
from opsportal.simulated_windows.settings import Certificate, Logins, Quotas, Settings
from opsportal.simulated_windows.simulated import SimulatedWindows


class Stopped(BaseException):
    """Somebody asked for the end."""


def settings_of(given: argparse.Namespace) -> Settings:
    """Raises ValueError and OSError for what cannot be used."""
    host, _, port = given.listen.rpartition(":")
    users = json.loads(given.users.read_text(encoding="utf-8")) if given.users else Logins().users
    certificate = None
    if given.certificate is not None:
        certificate = Certificate(given.certificate, given.key or given.certificate, given.client_ca)
    return Settings(
        host=host.strip("[]") or "127.0.0.1",
        port=int(port),
        name=given.name,
        logins=Logins(
            users=users,
            basic=given.basic,
            credssp=given.credssp,
            keytab=given.keytab,
            certificates={name: name for name in given.certificate_user},
            allow_unencrypted=given.allow_unencrypted,
        ),
        quotas=Quotas(shells_per_user=given.shells_per_user),
        certificate=certificate,
        oracle=given.oracle,
        state=given.state,
    )


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m opsportal.simulated_windows",
        description="A simulated Windows target: WinRM is real, Windows and PowerShell are played.",
    )
    parser.add_argument("--listen", default="127.0.0.1:5985", metavar="ADDRESS:PORT")
    parser.add_argument("--name", default=Settings().name, help="what the machine calls itself")
    parser.add_argument("--users", type=Path, metavar="FILE", help='JSON: {"name": "password"}')
    parser.add_argument("--basic", action="store_true", help="offer Basic, where a password is protected")
    parser.add_argument("--credssp", action="store_true")
    parser.add_argument("--allow-unencrypted", action="store_true", help="take messages in clear over HTTP")
    parser.add_argument("--keytab", type=Path, help="of the service HTTP/<name>, for Kerberos")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="speak HTTPS only")
    parser.add_argument("--key", type=Path, metavar="PEM")
    parser.add_argument("--client-ca", type=Path, metavar="PEM", help="authority of client certificates")
    parser.add_argument("--certificate-user", action="append", default=[], metavar="NAME")
    parser.add_argument("--shells-per-user", type=int, default=Quotas().shells_per_user)
    parser.add_argument("--behaviours", type=Path, metavar="FILE", help="JSON: see `read_behaviours`")
    parser.add_argument("--oracle", type=Path, metavar="FILE", help="gets a line of JSON for each effect")
    parser.add_argument("--state", type=Path, metavar="DIR", help="what the machine remembers over restarts")
    return parser


def read_behaviours(target: SimulatedWindows, file: Path) -> None:
    """A list of objects: `pattern`, and the fields of a Behaviour; `pieces` as objects with `data` as text.

    Raises ValueError, TypeError and KeyError for what is none.
    """
    for given in json.loads(file.read_text(encoding="utf-8")):
        fields: dict[str, Any] = dict(given)
        pieces = [{**piece, "data": piece["data"].encode()} for piece in fields.pop("pieces", [])]
        target.script(fields.pop("pattern"), pieces=tuple(Piece(**piece) for piece in pieces), **fields)


def stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def main(words: Sequence[str] | None = None) -> int:
    given = arguments().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="simulated Windows: %(message)s")
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        target = SimulatedWindows(settings_of(given))
        if given.behaviours is not None:
            read_behaviours(target, given.behaviours)
        with target:
            told = {"endpoint": target.endpoint, "port": target.port, "simulated": True}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
            while True:
                signal.pause()
    except Stopped:
        return 0
    except (OSError, ValueError, TypeError, KeyError) as error:
        sys.stderr.write(f"simulated Windows: cannot start: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
