"""Carrying out looks at targets: tests, scans of host keys and facts, one at a time or in rounds.

What goes over the wire runs in threads that know no database; the worker's own thread reads and stores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from automation.host_key_lines import fingerprint
from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.errors import LibraryError
from automation.libraries.facts import Fact, collect_facts
from automation.libraries.host_key_scan import ScannedKey
from automation.libraries.results import ConnectionTest
from automation.libraries.types import Credentials, Endpoint
from automation.libraries.windows.facts import collect_windows_facts
from automation.libraries.windows.types import WinRMEndpoint
from automation.models import HostKey, Installation, Spool, Target, TargetTest
from automation.ways import Ways
from automation.workers.logins import LOGIN_ERRORS, Logins, login_code
from automation.workers.reach import Place, endpoint_of, keep_shown_key
from credentials.models import Credential
from credentials.vault import VaultUnusable

WIDTH = 8
"""Targets that are looked at side by side."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look, ready for the wire."""

    test: TargetTest
    leaf: dict[str, Any]
    endpoint: Endpoint
    credentials: Credentials = field(repr=False)
    try_sudo: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What came back: a test's result, or keys, or facts, or an error."""

    seconds: float
    tested: ConnectionTest | None = None
    keys: tuple[ScannedKey, ...] = ()
    facts: dict[str, Fact] = field(default_factory=dict)
    error: LibraryError | None = None


def carry_out(number: int) -> None:
    """Carry out look `number`, if nobody else does."""
    carry_out_all([number])


def carry_out_all(numbers: Iterable[int], *, until: Callable[[], bool] = lambda: True) -> None:
    """Carry out these looks, a few side by side; none is begun any more once `until` says no."""
    manager = ConnectionManager()
    preparer = Preparer()
    installation = Installation.identity()
    under_way: dict[Future[Found], Look] = {}
    left = iter(numbers)
    try:
        with ThreadPoolExecutor(WIDTH, thread_name_prefix="look") as pool:
            while True:
                while len(under_way) < WIDTH and until() and (number := next(left, None)) is not None:
                    if (look := preparer.look(number)) is not None:
                        under_way[pool.submit(take_look, look, manager, installation)] = look
                if not under_way:
                    return
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for each in done:
                    store(under_way.pop(each), each.result())
    finally:
        manager.close()


class Preparer:
    """From rows to what threads need, or a refusal where a look is not possible."""

    def __init__(self) -> None:
        self._logins = Logins()

    def look(self, number: int) -> Look | None:
        """None when somebody else has it, or nothing can be tried; then the row tells why."""
        test = TargetTest.objects.claim(number)
        if test is None:
            return None
        target = test.target
        if frozen := Installation.frozen():
            test.refuse("portal.frozen", frozen, "An administrator ends that: manage.py unfreeze.")
            return None
        try:
            return self._look(test, target)
        except VaultUnusable as error:
            test.refuse(error.code, error.message, error.next_step)
        except LOGIN_ERRORS as error:
            test.refuse(login_code(error), str(error), "Enter the secrets of its credential anew.")
        except ValueError as error:
            test.refuse("target.way", str(error), "Give one of them another bastion.")
        return None

    def _look(self, test: TargetTest, target: Target) -> Look:
        ways = Ways.of([target])
        leaf = ways.place(target) | {"via": ways.via(target)}
        logins = {hop.pk: self._login(ways.choices.of(hop).credential) for hop in target.way(ways.bastions)}
        revoked = {each.pk: each.revoked_keys() for each in (target, *ways.bastions.values())}

        def login(place: Place) -> Credentials:
            return logins[place["target"]]

        endpoint = endpoint_of(leaf, login=login, revoked=revoked)
        sends_nothing = test.kind == TargetTest.Kind.SCAN
        own = Credentials(username="") if sends_nothing else self._login(ways.choices.of(target).credential)
        # By the clock sudo is tried only where it has worked: elsewhere it would alarm somebody every hour.
        try_sudo = not test.scheduled or target.spools.filter(become=True).exists()
        return Look(test, leaf, endpoint, own, try_sudo)

    def _login(self, credential: Credential | None) -> Credentials:
        if credential is None or not credential.enabled or credential.expired:
            # A look goes as far as it can without one: the machine's identity is learned all the same.
            return Credentials(username="")
        return self._logins.of(credential, credential.username).credentials


def take_look(look: Look, manager: ConnectionManager, installation: str) -> Found:
    """In a thread: no database. Faults of our own are told as such, none is lost."""
    started = time.monotonic()
    try:
        if look.test.kind == TargetTest.Kind.SCAN:
            return Found(keys=manager.scan(look.endpoint), seconds=time.monotonic() - started)
        if look.test.kind == TargetTest.Kind.FACTS:
            facts = _ask_facts(look, manager)
            return Found(facts=facts, seconds=time.monotonic() - started)
        tested = manager.test(
            look.endpoint, look.credentials, installation=installation, try_sudo=look.try_sudo
        )
        return Found(tested=tested, error=tested.error, seconds=tested.duration)
    except LibraryError as error:
        return Found(error=error, seconds=time.monotonic() - started)


def _ask_facts(look: Look, manager: ConnectionManager) -> dict[str, Fact]:
    if isinstance(look.endpoint, WinRMEndpoint):
        with manager.windows_connection(look.endpoint, look.credentials) as windows:
            return collect_windows_facts(windows)
    with manager.connection(look.endpoint, look.credentials) as connection:
        return collect_facts(connection)


def store(look: Look, found: Found) -> None:
    """Write what was found, and keys that a person must look at."""
    test, target = look.test, look.test.target
    keep_shown_key(look.leaf, found.error)
    if found.tested is not None:
        shown = found.tested.host_key if not (found.error and found.error.hop) else ""
        test.finish(found.tested, fingerprint=fingerprint(shown.split()[1]) if shown else "")
        _keep_spools(target, found.tested)
        return
    if test.kind == TargetTest.Kind.FACTS and found.error is None:
        target.learn(found.facts)
    for key in found.keys:
        _keep_scanned(target, key)
    test.conclude(found.error, seconds=found.seconds)


def _keep_spools(target: Target, tested: ConnectionTest) -> None:
    for become, probe in tested.probes.items():
        Spool.objects.found(target.pk, probe, become=become)


def _keep_scanned(target: Target, key: ScannedKey) -> None:
    """A key of a type of which another one is trusted is an alarm, as in a test."""
    key_type, blob = key.line.split()
    trusted = [line.split() for line in target.trusted_keys()]
    other = any(known[0] == key_type and known[1] != blob for known in trusted)
    HostKey.objects.saw(target, key_type, blob, HostKey.State.CHANGED if other else HostKey.State.PENDING)
