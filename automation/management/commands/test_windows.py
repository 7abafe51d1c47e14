"""`manage.py test_windows TARGET`: whether a real Windows target does all that this portal needs of it."""

import json
import platform
from argparse import ArgumentParser
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from django.core.management.base import BaseCommand, CommandError

from automation.definitions.step_kinds import Download, Upload
from automation.definitions.windows_file_scripts import windows_fetching_script, windows_file_scripts
from automation.libraries.types import Credentials
from automation.libraries.windows.self_test import CheckResult, self_test
from automation.libraries.windows.types import Method, WinRMEndpoint
from automation.login_fit import misfit
from automation.models import Target
from automation.ways import Ways
from automation.workers.logins import LOGIN_ERRORS, Logins
from automation.workers.reach import endpoint_of
from credentials.models import Credential


class Command(BaseCommand):
    help = (
        "Tries on a Windows target what runs need: login, encryption, letters, exit codes, streams, cancel, "
        "at most once, files. What it does there is harmless. The report holds no secret."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="a target's name in the inventory, with a credential")
        parser.add_argument("--method", choices=get_args(Method), help="instead of the target's own")
        parser.add_argument("--http", action="store_true", help="plain HTTP, with encrypted messages")
        parser.add_argument("--encrypt", action="store_true", help="encrypt messages over HTTPS too")
        parser.add_argument("--authority", type=Path, metavar="PEM", help="who signed its certificate")
        parser.add_argument(
            "--pin", action="append", default=[], help="`x509-sha256 HEX` or `spki-sha256 HEX`"
        )
        parser.add_argument("--service-name", default="", help="its name in Kerberos, where that is another")
        parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the report")

    def handle(self, *, target: str, **options: object) -> None:
        row = Target.objects.with_plan_parts().filter(name__iexact=target).first()
        if row is None:
            raise CommandError(f"There is no target {target!r}.")
        if not row.speaks_winrm:
            raise CommandError(f"{row.name} is not reached over WinRM. Set its platform to windows.")
        ways = Ways.of([row])
        endpoint = _endpoint(ways.place(row), options)
        login = _login(row, ways.choices.of(row).credential, endpoint)
        results = []
        for result in self_test(endpoint, login, file_scripts=_file_scripts):
            results.append(result)
            mark = "ok  " if result.ok else "FAIL"
            self.stdout.write(f"{mark}  {result.name:<30} {result.seconds:6.2f} s  {result.detail}")
        if isinstance(file := options["json"], Path):
            file.write_text(json.dumps(_report(results, endpoint), indent=2) + "\n", encoding="utf-8")
        if bad := sum(not result.ok for result in results):
            raise CommandError(f"{bad} of {len(results)} checks failed on {row.name}.")
        self.stdout.write(f"{row.name} does all that was tried.")


def _endpoint(place: dict[str, Any], options: dict[str, object]) -> WinRMEndpoint:
    """Where the target's row says, changed by what the command line says."""
    found = endpoint_of(place, login=_no_bastion, revoked={})
    assert isinstance(found, WinRMEndpoint)  # noqa: S101 -- it speaks WinRM
    authority, pins = options["authority"], options["pin"]
    changes: dict[str, Any] = {
        "method": options["method"],
        "service_name": options["service_name"],
        "encrypt": options["encrypt"],
        "host_keys": tuple(map(str, pins)) if isinstance(pins, list) else (),
    }
    changes = {name: value for name, value in changes.items() if value}
    if options["http"]:
        changes["https"] = False
    if isinstance(authority, Path):
        try:
            changes["authority"] = authority.read_text("ascii")
        except (OSError, UnicodeError):
            raise CommandError(f"{authority} cannot be read as PEM.") from None
    return replace(found, **changes)


def _no_bastion(_place: object) -> Credentials:
    raise CommandError("A bastion leads to this target; WinRM goes through none.")


def _login(row: Target, credential: Credential | None, endpoint: WinRMEndpoint) -> Credentials:
    if credential is None:
        raise CommandError(f"{row.name} has no credential. Give it, its group or its environment one.")
    if not credential.enabled or credential.expired:
        how = "has expired" if credential.expired else "is disabled"
        raise CommandError(
            f"The credential {credential.name!r} {how}. Correct it or give {row.name} another."
        )
    if why := misfit({"winrm": {"method": endpoint.method}}, credential):
        raise CommandError(why)
    try:
        return Logins().of(credential, credential.username).credentials
    except LOGIN_ERRORS as error:
        raise CommandError(str(error)) from None


def _file_scripts(place: str, sha256: str) -> dict[str, str]:
    fetch = windows_fetching_script(Download.model_validate({"from_windows": place}))
    upload = Upload(file="self-test.txt", to_windows=place)
    return windows_file_scripts(upload, sha256=sha256) | {"fetch": fetch}


def _report(results: list[CheckResult], endpoint: WinRMEndpoint) -> dict[str, object]:
    """What tells a reader enough; neither the target's name nor the login is in it."""
    libraries = ("pywinrm", "pyspnego", "psrpcore")
    return {
        "method": endpoint.method,
        "https": endpoint.https,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
        "checks": [result.as_dict() for result in results],
    }
