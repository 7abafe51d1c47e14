"""Import: the rows of an inventory file become targets, groups, credentials and host keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from automation.belonging import CircleError, GroupTree
from automation.definitions.errors import did_you_mean
from automation.inventory_files.mistakes import InventoryError, Mistake, Place
from automation.inventory_files.rows import GroupRow, Inventory, Login, TargetRow
from automation.login_choice import Choices
from automation.models import Group, HostKey, Target
from automation.models.winrm import with_windows_defaults
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets
from credentials.sealed import DecryptionError

SHOWN_VALUE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """`trust_host_keys`: somebody vouches for the keys in the file. `skip_wrong`: import the rows that are
    right although others are wrong. `may_use_credentials`: rows may make logins and tie them to addresses.
    """

    trust_host_keys: bool = False
    dry_run: bool = False
    skip_wrong: bool = False
    may_use_credentials: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became, or would become, of one row; `changes` are in words and hold no secrets."""

    kind: str
    name: str
    done: str
    changes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "done": self.done, "changes": list(self.changes)}


@dataclass(slots=True)
class Report:
    """What an import did, or would do. `mistakes` are of rows that were skipped."""

    done: Counter[str] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    rows: list[Outcome] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """Counts in words."""
        return ", ".join(f"{count} {name}" for name, count in sorted(self.done.items())) or "no rows"


def import_rows(inventory: Inventory, options: ImportOptions) -> Report:
    """Make each row's target or group, or change it to what the row says; what a row leaves out stays.

    Groups and parents are added and never taken away. One credential serves all rows with the same user and
    secret. Host keys are `pending`, or with `trust_host_keys` trusted, which revokes an older key of the same
    type; a key that was revoked stays so. Raises InventoryError, and then nothing has changed: for any
    mistake, or with `skip_wrong` for one that is not of a single row.
    """
    if inventory.mistakes and not options.skip_wrong:
        # The rows that can be read are tried, so that all mistakes are told at once.
        options = ImportOptions(
            trust_host_keys=options.trust_host_keys,
            dry_run=True,
            may_use_credentials=options.may_use_credentials,
        )
    with transaction.atomic():
        importer = _Importer(options, notices=inventory.notices, mistakes=inventory.mistakes)
        importer.take_all(inventory)
        report = importer.report
        if report.mistakes and not options.skip_wrong:
            raise InventoryError(report.mistakes)
        if options.dry_run:
            transaction.set_rollback(True)
    return report


class _Importer:
    def __init__(self, options: ImportOptions, *, notices: list[str], mistakes: list[Mistake]) -> None:
        self.report = Report(notices=list(notices), mistakes=list(mistakes))
        self._options = options
        self._targets = {
            t.name.lower(): t for t in Target.objects.with_plan_parts().select_for_update(of=("self",))
        }
        self._read_known()

    def _read_known(self) -> None:
        groups = (
            Group.objects.select_related("credential")
            .prefetch_related("parents")
            .select_for_update(of=("self",))
        )
        self._groups = {group.name.lower(): group for group in groups}
        self._choices = Choices()
        self._credentials = {row.name: row for row in Credential.objects.all()}
        self._logins: dict[tuple[str, str], list[tuple[Credential, CredentialSecrets]]] = {}

    def take_all(self, inventory: Inventory) -> None:
        for group in inventory.groups:
            self._try(group.place, partial(self._take_group, group))
        # Parents may stand after their children.
        for group in inventory.groups:
            self._try(group.place, partial(self._nest, group))
        for target in inventory.targets:
            self._try(target.place, partial(self._take_target, target))
        # A bastion may stand further down in the file.
        for target in inventory.targets:
            self._try(target.place, partial(self._put_behind_bastion, target))
        try:
            GroupTree.load()
        except CircleError as error:
            raise InventoryError([*self.report.mistakes, Mistake(str(error), field="parents")]) from None

    def _try(self, place: Place, take: Callable[[], None]) -> None:
        try:
            # Of a row that is wrong nothing stays, also when others do.
            with transaction.atomic():
                take()
        except _Refused as error:
            self.report.mistakes.append(
                place.mistake(str(error), about=error.field, next_step=error.next_step)
            )
        except CredentialError as error:
            self.report.mistakes.append(place.mistake(" ".join(error.messages), about=error.field))
        except ValidationError as error:
            self.report.mistakes += [place.mistake(text, about=about) for about, text in _texts(error)]
        else:
            return
        self._read_known()

    # Groups

    def _take_group(self, row: GroupRow) -> None:
        group = self._groups.get(row.name.lower())
        if group is None:
            self._group(row.name, row.fields)
            return
        changes = _changes(group, row.fields)
        if changes:
            _change(group, row.fields)
        self._done("group", group.name, "changed" if changes else "unchanged", changes)

    def _group(self, name: str, fields: dict[str, Any]) -> Group:
        """The group of this name, made with `fields` where there is none."""
        if name.lower() not in self._groups:
            group = Group(name=name, **fields)
            group.full_clean()
            group.save()
            self._groups[name.lower()] = group
            self._done("group", name, "made", ())
        return self._groups[name.lower()]

    def _nest(self, row: GroupRow) -> None:
        group = self._groups.get(row.name.lower())
        if group is None or not row.parents:
            return
        known = {parent.pk for parent in group.parents.all()}
        missing = [
            parent for parent in (self._group(name, {}) for name in row.parents) if parent.pk not in known
        ]
        group.parents.add(*missing)
        if missing:
            self.report.done["groups put into others"] += 1

    def _put_behind_bastion(self, row: TargetRow) -> None:
        target = self._targets.get(row.name.lower())
        if not row.bastion or target is None or target.pk is None:
            return
        bastion = self._targets.get(row.bastion.lower())
        if bastion is None:
            near = did_you_mean(row.bastion, self._targets)
            raise ValidationError({"bastion": f"There is no target {row.bastion[:100]!r}{near}"})
        if target.bastion_id != bastion.pk:
            if self._choices.of(target).credential is not None:
                self._may_use_credentials("another way to a target with a login")
            before, target.bastion = target.bastion, bastion
            try:
                target.clean()
            except ValidationError:
                target.bastion = before
                raise
            target.save(update_fields=["bastion"])
            self.report.done["bastions set"] += 1

    # Targets

    def _take_target(self, row: TargetRow) -> None:
        target = self._targets.get(row.name.lower()) or Target(name=row.name)
        is_new = target.pk is None
        wanted = self._wanted(row, target)
        self._check_rights(row, target, wanted)
        changes = _changes(target, wanted)
        before = {key: getattr(target, key) for key in wanted}
        try:
            _change(target, wanted, force=is_new)
        except ValidationError:
            for key, value in before.items():
                setattr(target, key, value)
            raise
        joined = self._join(target, row.groups, is_new=is_new)
        for key_type, key in row.host_keys:
            self._host_key(target, key_type, key)
        self._targets[row.name.lower()] = target
        done = "made" if is_new else "changed" if changes or joined else "unchanged"
        self._done("target", target.name, done, () if is_new else (*changes, *(f"into {n}" for n in joined)))

    def _wanted(self, row: TargetRow, target: Target) -> dict[str, Any]:
        wanted = dict(row.fields)
        if "tags" in wanted:
            wanted["tags"] = sorted(set(wanted["tags"]))
        if target.pk is None:
            wanted = with_windows_defaults(wanted)
        if row.credential:
            wanted["credential"] = self._named_credential(row.credential)
        elif row.login is not None:
            self._may_use_credentials("a login")
            wanted["credential"] = self._credential(row.login)
        return wanted

    def _check_rights(self, row: TargetRow, target: Target, wanted: dict[str, Any]) -> None:
        # Whoever ties a login to an address, from either end, decides which machine gets to see it.
        if self._options.may_use_credentials:
            return
        if "credential" in wanted and wanted["credential"] != target.credential:
            self._may_use_credentials("a credential")
        is_new = target.pk is None
        joined = [self._groups[name.lower()] for name in row.groups if name.lower() in self._groups]
        before = None if is_new else self._choices.of(target).credential
        after = self._choices.of_these(
            own=wanted.get("credential", target.credential),
            groups=joined if is_new else {*target.groups.all(), *joined},
            environment=wanted.get("environment", target.environment),
        ).credential
        if after is not None and (is_new or after != before):
            self._may_use_credentials("a group or an environment that has a credential")
        ways = ("address", "port", "transport", "winrm")
        moves = any(key in wanted and wanted[key] != getattr(target, key) for key in ways)
        if moves and after is not None:
            self._may_use_credentials("another address of a target that has a credential")

    def _may_use_credentials(self, what: str) -> None:
        if not self._options.may_use_credentials:
            raise _Refused(
                "credential",
                f"{what} needs the permission credentials:write",
                next_step="Leave it out, or let somebody import it who has this permission.",
            )

    def _join(self, target: Target, names: tuple[str, ...], *, is_new: bool) -> list[str]:
        """Put the target into these groups, made where they do not exist; those it was missing in."""
        member_of = set() if is_new else {group.pk for group in target.groups.all()}
        missing = [group for name in names if (group := self._group(name, {})).pk not in member_of]
        target.groups.add(*missing)
        return [group.name for group in missing]

    # Logins and host keys

    def _named_credential(self, name: str) -> Credential:
        if name not in self._credentials:
            raise _Refused(
                "credential",
                f"there is no credential {name[:100]!r}",
                next_step="Make it in the portal first, or leave the field out.",
            )
        return self._credentials[name]

    def _credential(self, login: Login) -> Credential:
        known = self._known_logins(login)
        for credential, secrets in known:
            same = credential.certificate.split() == login.certificate.split() or not login.certificate
            if same and getattr(secrets, login.secret_name) == login.secret:
                return credential
        secrets = CredentialSecrets(**{login.secret_name: login.secret})
        credential = Credential(
            name=_free_name(login), kind=login.kind, username=login.user, certificate=login.certificate
        )
        credential.check_certificate(before=None)
        credential.clean()
        credential.replace_secrets(secrets)
        known.append((credential, secrets))
        self._credentials[credential.name] = credential
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
        elif self._options.trust_host_keys and row.state != HostKey.State.TRUSTED:
            row.trust(by=None)
            self.report.done["host keys trusted"] += 1
        elif row.state != HostKey.State.TRUSTED:
            self.report.notices.append(f"{target.name}: the key {row.fingerprint} is {row.state}")

    def _done(self, kind: str, name: str, done: str, changes: tuple[str, ...]) -> None:
        self.report.done[f"{kind}s {done}"] += 1
        self.report.rows.append(Outcome(kind, name, done, changes))


class _Refused(Exception):
    """A row asks for what may not be done."""

    def __init__(self, about: str, message: str, *, next_step: str) -> None:
        super().__init__(message)
        self.field = about
        self.next_step = next_step


def _changes(row: Target | Group, wanted: dict[str, Any]) -> tuple[str, ...]:
    """In words, what of the row would become something else."""
    return tuple(
        f"{key.replace('_', ' ')}: {_shown(getattr(row, key))} → {_shown(value)}"
        for key, value in wanted.items()
        if getattr(row, key) != value
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = str(value) if value not in (None, "", {}) else "none"
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]}…"


def _change(row: Target | Group, wanted: dict[str, Any], *, force: bool = False) -> None:
    """Give the row its new values, check it as a whole and store it. Raises ValidationError."""
    changed = [key for key, value in wanted.items() if getattr(row, key) != value]
    for key in changed:
        setattr(row, key, wanted[key])
    row.full_clean()
    if force or changed:
        row.save(update_fields=None if force else changed)


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


def _texts(error: ValidationError) -> list[tuple[str, str]]:
    if not hasattr(error, "error_dict"):
        return [("", text) for text in error.messages]
    found = error.message_dict.items()
    return [("" if key == "__all__" else key, " ".join(texts)) for key, texts in found]
