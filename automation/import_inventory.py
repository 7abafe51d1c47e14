"""Import: the rows of an inventory file become targets, groups, credentials and host keys; all or nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from automation.definitions.errors import did_you_mean
from automation.inventory_file import InventoryError, Login, Row
from automation.models import Group, HostKey, Target
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets
from credentials.sealed import DecryptionError


@dataclass(slots=True)
class Report:
    """What an import did, or would do."""

    done: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)


def import_rows(rows: list[Row], *, trust_host_keys: bool = False, dry_run: bool = False) -> Report:
    """Make each row's target, or change it to what the row says; what a row leaves out stays as it is.

    Groups are added and never taken away. One credential serves all rows with the same user and secret. Host
    keys are `pending`, or with `trust_host_keys` trusted, which revokes an older key of the same type; a key
    that was revoked stays so. Raises InventoryError, and then nothing has changed.
    """
    with transaction.atomic():
        importer = _Importer(trust_host_keys=trust_host_keys)
        for row in rows:
            importer.take(row)
        for row in rows:
            importer.put_behind_bastion(row)
        if importer.errors:
            raise InventoryError(importer.errors)
        if dry_run:
            transaction.set_rollback(True)
    return importer.report


class _Importer:
    def __init__(self, *, trust_host_keys: bool) -> None:
        self.report = Report()
        self.errors: list[str] = []
        self._trust = trust_host_keys
        self._targets = {
            t.name.lower(): t for t in Target.objects.with_plan_parts().select_for_update(of=("self",))
        }
        self._groups = {group.name.lower(): group for group in Group.objects.all()}
        self._logins: dict[tuple[str, str], list[tuple[Credential, CredentialSecrets]]] = {}

    def take(self, row: Row) -> None:
        try:
            self._take(row)
        except CredentialError as error:
            self.errors.append(f"{row.label}: {error.field}: {' '.join(error.messages)}")
        except ValidationError as error:
            self.errors += [f"{row.label}: {text}" for text in _texts(error)]

    def put_behind_bastion(self, row: Row) -> None:
        """When every row has its target: a bastion may stand further down in the file."""
        target = self._targets.get(row.name.lower())
        if row.bastion is None or target is None or target.pk is None:
            return
        bastion = self._targets.get(row.bastion.lower())
        if bastion is None:
            near = did_you_mean(row.bastion, self._targets)
            self.errors.append(f"{row.label}: bastion: there is no target {row.bastion[:100]!r}{near}")
        elif target.bastion_id != bastion.pk:
            target.bastion = bastion
            try:
                target.clean()
            except ValidationError as error:
                self.errors += [f"{row.label}: {text}" for text in _texts(error)]
                return
            target.save(update_fields=["bastion"])
            self.report.done["bastions set"] += 1

    def _take(self, row: Row) -> None:
        target = self._targets.get(row.name.lower()) or Target(name=row.name)
        is_new = target.pk is None
        changes = {
            key: value for key, value in self._wanted(row, target).items() if getattr(target, key) != value
        }
        for key, value in changes.items():
            setattr(target, key, value)
        target.full_clean()
        if is_new or changes:
            target.save(update_fields=None if is_new else list(changes))
        self._targets[row.name.lower()] = target
        joined = self._join(target, row.groups, is_new=is_new)
        for key_type, key in row.host_keys:
            self._host_key(target, key_type, key)
        outcome = "made" if is_new else "changed" if changes or joined else "unchanged"
        self.report.done[f"targets {outcome}"] += 1

    def _wanted(self, row: Row, target: Target) -> dict[str, Any]:
        wanted = dict(row.fields)
        if "tags" in wanted:
            wanted["tags"] = sorted(set(wanted["tags"]))
        if target.pk is None and wanted.get("platform") == Target.Platform.WINDOWS:
            wanted = {"transport": Target.Transport.WINRM, "port": 5986} | wanted
        if row.login is not None:
            wanted["credential"] = self._credential(row.login)
        return wanted

    def _join(self, target: Target, names: tuple[str, ...], *, is_new: bool) -> bool:
        """Put the target into these groups, made where they do not exist; whether it was missing in one."""
        member_of = set() if is_new else {group.pk for group in target.groups.all()}
        missing = [group for group in map(self._group, names) if group.pk not in member_of]
        target.groups.add(*missing)
        return bool(missing)

    def _group(self, name: str) -> Group:
        if name.lower() not in self._groups:
            group = Group(name=name)
            group.full_clean()
            group.save()
            self._groups[name.lower()] = group
            self.report.done["groups made"] += 1
        return self._groups[name.lower()]

    def _credential(self, login: Login) -> Credential:
        known = self._known_logins(login)
        for credential, secrets in known:
            if getattr(secrets, login.kind) == login.secret:
                return credential
        secrets = CredentialSecrets(**{login.kind: login.secret})
        credential = Credential(name=_free_name(login), kind=login.kind, username=login.user)
        credential.replace_secrets(secrets)
        known.append((credential, secrets))
        self.report.done["credentials made"] += 1
        return credential

    def _known_logins(self, login: Login) -> list[tuple[Credential, CredentialSecrets]]:
        at = (login.user, login.kind)
        if at not in self._logins:
            rows = Credential.objects.usable().filter(username=login.user, kind=login.kind)
            self._logins[at] = [(row, secrets) for row in rows if (secrets := _readable(row)) is not None]
        return self._logins[at]

    def _host_key(self, target: Target, key_type: str, key: str) -> None:
        older = target.host_keys.filter(key_type=key_type, state=HostKey.State.TRUSTED).exclude(key=key)
        state = HostKey.State.CHANGED if older.exists() else HostKey.State.PENDING
        row = HostKey.objects.saw(target, key_type, key, state)
        if row.state == HostKey.State.REVOKED:
            self.report.notices.append(f"{target.name}: the key {row.fingerprint} was revoked and stays so")
        elif self._trust and row.state != HostKey.State.TRUSTED:
            row.trust(by=None)
            self.report.done["host keys trusted"] += 1
        elif row.state != HostKey.State.TRUSTED:
            self.report.notices.append(f"{target.name}: the key {row.fingerprint} is {row.state}")


def _readable(credential: Credential) -> CredentialSecrets | None:
    try:
        return credential.secrets()
    except DecryptionError:
        return None


def _free_name(login: Login) -> str:
    name = f"{login.user} ({login.word})"[:90]
    taken = set(Credential.objects.filter(name__startswith=name).values_list("name", flat=True))
    return next(
        text for n in range(1, len(taken) + 2) if (text := name if n == 1 else f"{name} {n}") not in taken
    )


def _texts(error: ValidationError) -> list[str]:
    if not hasattr(error, "error_dict"):
        return list(error.messages)
    return [f"{key}: {' '.join(texts)}" for key, texts in error.message_dict.items()]
