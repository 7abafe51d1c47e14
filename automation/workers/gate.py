"""May this target start to change now? Budget, width, lock and drift, under the run's row lock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from automation.host_key_lines import fingerprint
from automation.libraries.types import Credentials, Endpoint
from automation.login_choice import credentials_now
from automation.login_fit import CODE as UNFIT
from automation.login_fit import misfit
from automation.models import HostCertificateAuthority, HostKey, JobRun, RunTarget, Target, TargetLock
from automation.models.rows import insert_rows
from automation.policy.today import policy_today
from automation.ways import places, provable
from automation.workers.logins import Logins
from automation.workers.reach import Place, endpoint_of
from automation.workers.work import Work
from credentials.models import Credential

Answer = Literal["go", "wait", "stopped"]


@dataclass(frozen=True, slots=True)
class Block:
    """Why nothing may be sent to this target."""

    code: str
    message: str

    def at(self, bastion: str) -> Block:
        """The same, because of a bastion on the way."""
        return Block(self.code, f"On the way, at bastion {bastion}: {self.message}")


class Entrance:
    """Lets targets begin their changes, one after the other, with a fixed number of queries for them all.

    The caller holds the run's row lock, so for all shards together: bad ≤ max_failures and in_flight <
    max_parallel hold at every start. `store` belongs to the same transaction.
    """

    def __init__(self, run: JobRun, works: list[Work]) -> None:
        self._run = run
        self._entered: list[Work] = []
        self._taken: set[str] = set()
        self._keys = {work.position: lock_keys(work) for work in works}
        self._held = _held(works, self._keys) if works else {}

    def admit(self, work: Work) -> Answer | Block:
        """Whether the whole run's budget and width allow this target to begin, and its lock is free."""
        run = self._run
        if run.stopped or run.bad > run.max_failures:
            return "stopped"
        if run.in_flight >= run.max_parallel:
            return "wait"
        keys = self._keys[work.position]
        if not self._taken.isdisjoint(keys):
            return "wait"
        found = [self._held[key] for key in keys if key in self._held]
        holders = [lock for lock in found if lock.run_target_id != work.row.pk]
        if any(holder.run_target.state != RunTarget.State.DONE for holder in holders):
            return "wait"
        if holders:
            return Block(
                "target.locked",
                f"Run {holders[0].run_id} left this target in a state nobody knows: "
                "look at it, then free its lock.",
            )
        run.in_flight += 1
        work.row.state = RunTarget.State.CHANGING
        self._taken.update(keys)
        self._entered.append(work)
        return "go"

    def store(self) -> None:
        """Write what was admitted."""
        if not self._entered:
            return
        insert_rows(
            [
                TargetLock(key=key, run=self._run, run_target=work.row)
                for work in self._entered
                for key in self._keys[work.position]
            ]
        )
        entered = RunTarget.objects.filter(pk__in=[work.row.pk for work in self._entered])
        entered.update(state=RunTarget.State.CHANGING)
        self._run.save(update_fields=["in_flight"])


def _held(works: list[Work], keys: dict[int, list[str]]) -> dict[str, TargetLock]:
    """Locks that are held, by key."""
    if connection.features.has_select_for_update:
        # Another run may be about to take the same locks; on SQLite there is one writer at a time anyway.
        targets = Target.objects.filter(pk__in=[work.leaf["target"] for work in works])
        # With those of other targets that have the same key: they are the same machine, under another name.
        lines = {line.split()[1] for work in works for line in work.leaf["host_keys"]}
        for rows in (targets, HostKey.objects.filter(key__in=lines)):
            list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))
    wanted = [key for work in works for key in keys[work.position]]
    held = TargetLock.objects.filter(key__in=wanted).select_related("run_target")
    return {lock.key: lock for lock in held}


def lock_keys(work: Work) -> list[str]:
    """One machine is one lock, whatever its names: each host key counts, and the target itself.

    A certificate may be that of a whole farm, so behind WinRM the address counts in its place.
    """
    if "winrm" in work.leaf:
        return [f"winrm:{work.leaf['address']}:{work.leaf['port']}", f"target:{work.leaf['target']}"]
    keys = [f"hostkey:{fingerprint(line.split()[1])}" for line in work.leaf["host_keys"]]
    return [*keys, f"target:{work.leaf['target']}"]


class Drift:
    """Compares frozen leaves with the world, in a fixed number of queries for many targets."""

    def __init__(self, run: JobRun, works: list[Work]) -> None:
        ids = {place["target"] for work in works for place in places(work.leaf)}
        self.targets = targets_now(ids) if ids else {}
        self._authorities = _authorities_now() if ids else frozenset()
        self._policy = _policy_now(run) if ids else None
        self._run = run

    def blocks(self, work: Work) -> Block | None:
        """The first reason for which this target may not be touched, or None."""
        if not work.intact:
            return Block("plan.changed", "What is stored for this target is not what was approved.")
        return self._policy or self._maintenance(work) or self.keeps_away(work)

    def _maintenance(self, work: Work) -> Block | None:
        # What has begun to change goes on: half a change is worse than one that disturbs somebody's work.
        begun = work.row.state == RunTarget.State.CHANGING
        target = self.targets.get(work.leaf["target"])
        if target is None or not target.in_maintenance or begun or work.leaf.get("takes_maintenance", True):
            return None
        return Block("plan.changed", "Maintenance of the target began after the plan was made.")

    def keeps_away(self, work: Work) -> Block | None:
        """Why not even a question may be put to this target: it is not, or not surely, the one we know."""
        own, *hops = places(work.leaf)
        if block := self._place_block(own):
            return block
        blocks = ((self._place_block(hop), hop) for hop in hops)
        return next((block.at(hop["name"]) for block, hop in blocks if block is not None), None)

    def way_is_whole(self, work: Work) -> bool:
        """Whether the target and each bastion on the way still exist, with a login."""
        found = [self.targets.get(place["target"]) for place in places(work.leaf)]
        return all(target is not None and target.credential is not None for target in found)

    def endpoint(self, work: Work, logins: Logins) -> Endpoint:
        """Where the frozen target is reached today, each bastion with its own login.

        Raises what `Logins.of` raises; ValueError where the way is not whole.
        """

        def login(hop: Place) -> Credentials:
            credential = self.targets[hop["target"]].credential
            if credential is None:
                raise ValueError(f"bastion {hop['name']} has no credential; drift should have said so")
            return logins.of(credential, hop["login"], run=work.row.run_id).credentials

        revoked = {pk: sorted(target.revoked_keys) for pk, target in self.targets.items()}
        return endpoint_of(work.leaf, login=login, revoked=revoked)

    def _place_block(self, place: dict[str, Any]) -> Block | None:
        if not provable(place):
            return Block("hostkey.unknown", "No host key of this target was trusted when the plan was made.")
        target = self.targets.get(place["target"])
        if target is None:
            return Block("plan.changed", "The target was deleted after the plan was made.")
        if not target.enabled:
            return Block("plan.changed", "The target was disabled after the plan was made.")
        return (
            _key_block(place, target)
            or _authority_block(place, self._authorities)
            or _credential_block(place, target)
        )


@dataclass(frozen=True, slots=True)
class TargetNow:
    """What a target is today, as far as it may stop us."""

    enabled: bool
    in_maintenance: bool
    trusted_keys: frozenset[str]
    revoked_keys: frozenset[str]
    credential: Credential | None


def targets_now(ids: set[int]) -> dict[int, TargetNow]:
    """These targets today. Plain columns instead of objects: most targets of a run share few credentials."""
    over = Q(maintenance_until__isnull=False, maintenance_until__lte=timezone.now())
    now = Case(When(Q(maintenance=True) & ~over, then=Value(value=True)), default=Value(value=False))
    rows = list(
        Target.objects.filter(pk__in=ids).values_list("pk", "enabled", now, "environment", "credential_id")
    )
    credentials = credentials_now((target, env, own) for target, _, _, env, own in rows)
    decided = (HostKey.State.TRUSTED, HostKey.State.REVOKED)
    keys: dict[tuple[int, str], set[str]] = defaultdict(set)
    found = HostKey.objects.filter(target__in=ids, state__in=decided)
    for target, state, key_type, key in found.values_list("target_id", "state", "key_type", "key"):
        keys[target, state].add(f"{key_type} {key}")
    return {
        target: TargetNow(
            enabled,
            in_maintenance=resting,
            trusted_keys=frozenset(keys[target, str(HostKey.State.TRUSTED)]),
            revoked_keys=frozenset(keys[target, str(HostKey.State.REVOKED)]),
            credential=credentials[target],
        )
        for target, enabled, resting, _, _ in rows
    }


def _authorities_now() -> frozenset[str]:
    return frozenset(each.line for each in HostCertificateAuthority.objects.filter(enabled=True))


def _authority_block(place: dict[str, Any], today: frozenset[str]) -> Block | None:
    gone = [line for line in place.get("authorities", []) if line not in today]
    if not gone:
        return None
    names = ", ".join(fingerprint(line.split()[1]) for line in gone)
    return Block(
        "hostkey.changed", f"Certificate authorities no longer trusted since the plan was made: {names}."
    )


def _key_block(leaf: dict[str, Any], target: TargetNow) -> Block | None:
    gone = [line for line in leaf["host_keys"] if line not in target.trusted_keys]
    if "winrm" in leaf and not leaf["host_keys"]:
        gone = sorted(target.revoked_keys)  # what an authority vouched for may be the very one
    if not gone:
        return None
    names = ", ".join(fingerprint(line.split()[1]) for line in gone)
    return Block("hostkey.changed", f"No longer trusted since the plan was made: {names}.")


def _credential_block(leaf: dict[str, Any], target: TargetNow) -> Block | None:
    credential = target.credential
    if leaf["credential"] is None or credential is None:
        return Block("credential.missing", "The target has no credential to log in with.")
    if not credential.enabled:
        return Block("credential.missing", f"The credential {credential.name!r} is disabled.")
    if credential.expired:
        return Block(
            "credential.expired",
            f"The credential {credential.name!r} has expired. Enter its new secrets and when those expire.",
        )
    if credential.pk == leaf["credential"] and (why := misfit(leaf, credential)):
        return Block(UNFIT, why)
    if credential.pk != leaf["credential"] or credential.username != leaf["login"]:
        return Block(
            "plan.changed",
            f"The plan logs in as {leaf['login']!r}; its credential now says {credential.username!r}.",
        )
    return None


def _policy_now(run: JobRun) -> Block | None:
    """Whether today's policy asks for more than this run was given."""
    now = policy_today().decide(run.policy_facts())
    if now.denied:
        return Block("policy.denied", f"The policy now forbids this run: {now.denied}.")
    if now.approvals > run.approvals_required:
        return Block(
            "policy.denied",
            f"The policy now asks for {now.approvals} approvals; this run has {run.approvals_required}.",
        )
    return None
