"""`manage.py test_windows TARGET`: whether a real Windows target does all that this portal needs of it."""

import json
import platform
from argparse import ArgumentParser
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from django.core.management.base import BaseCommand, CommandError

from automation.libraries.windows.self_test import CheckResult, self_test
from automation.libraries.windows.types import Method, WindowsCredentials, WinRMEndpoint
from automation.models import Target
from credentials.keys import KeysUnusable
from credentials.models import Credential
from credentials.sealed import DecryptionError


class Command(BaseCommand):
    help = (
        "Tries on a Windows target what runs need: login, encryption, letters, exit codes, streams, cancel, "
        "at most once. What it does there is harmless. The report holds no secret."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="a target's name in the inventory, with a credential")
        parser.add_argument("--method", choices=get_args(Method), default="negotiate")
        parser.add_argument("--http", action="store_true", help="plain HTTP, with encrypted messages")
        parser.add_argument("--encrypt", action="store_true", help="encrypt messages over HTTPS too")
        parser.add_argument("--authority", type=Path, metavar="PEM", help="who signed its certificate")
        parser.add_argument(
            "--pin", action="append", default=[], help="`x509-sha256 HEX` or `spki-sha256 HEX`"
        )
        parser.add_argument("--service-name", default="", help="its name in Kerberos, where that is another")
        parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the report")

    def handle(self, *, target: str, **options: object) -> None:
        row = Target.objects.filter(name__iexact=target).select_related("credential").first()
        if row is None:
            raise CommandError(f"There is no target {target!r}.")
        if row.credential is None:
            raise CommandError(f"{row.name} has no credential. Give it one with a password.")
        results = []
        for result in self_test(_endpoint(row, options), _login(row.credential)):
            results.append(result)
            mark = "ok  " if result.ok else "FAIL"
            self.stdout.write(f"{mark}  {result.name:<30} {result.seconds:6.2f} s  {result.detail}")
        if isinstance(file := options["json"], Path):
            file.write_text(json.dumps(_report(results, options), indent=2) + "\n", encoding="utf-8")
        if bad := sum(not result.ok for result in results):
            raise CommandError(f"{bad} of {len(results)} checks failed on {row.name}.")
        self.stdout.write(f"{row.name} does all that was tried.")


def _endpoint(row: Target, options: dict[str, object]) -> WinRMEndpoint:
    authority = options["authority"]
    try:
        pem = authority.read_text("ascii") if isinstance(authority, Path) else ""
    except (OSError, UnicodeError):
        raise CommandError(f"{authority} cannot be read as PEM.") from None
    pins = options["pin"]
    return WinRMEndpoint(
        row.address,
        row.port,
        tuple(map(str, pins)) if isinstance(pins, list) else (),
        https=not options["http"],
        method=options["method"],  # type: ignore[arg-type]  # the parser takes no other word
        authority=pem,
        encrypt=bool(options["encrypt"]),
        service_name=str(options["service_name"]),
    )


def _login(credential: Credential) -> WindowsCredentials:
    try:
        secrets = credential.secrets()
    except (DecryptionError, KeysUnusable) as error:
        raise CommandError(str(error)) from None
    return WindowsCredentials(credential.username, password=secrets.password)


def _report(results: list[CheckResult], options: dict[str, object]) -> dict[str, object]:
    """What tells a reader enough; neither the target's name nor the login is in it."""
    libraries = ("pywinrm", "pyspnego", "psrpcore")
    return {
        "method": options["method"],
        "https": not options["http"],
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
        "checks": [result.as_dict() for result in results],
    }
