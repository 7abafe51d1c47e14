"""Targets, their groups and their host keys."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from automation.addresses import check_address
from automation.definitions.errors import QueryError
from automation.definitions.query import MAX_QUERY, parse
from automation.host_key_lines import fingerprint
from automation.models.access import may
from automation.models.runs import LIVE
from automation.models.winrm import check_winrm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Principal = AbstractBaseUser | AnonymousUser

# A leading dash could be read as an option by some tool one day; we need none of these characters.
NAME = RegexValidator(r"^[^\s\-\"'][^\"'\x00-\x1f\x7f]{0,99}$", "A name may not start with - or a quote.")


MOST_HOPS = 4
"""Bastions one after the other: each adds its own time to every connection."""

Row = TypeVar("Row", bound=models.Model)


class VisibleQuerySet(models.QuerySet[Row]):
    """Rows that belong to the inventory: whoever may read it sees all of it."""

    def visible_to(self, user: Principal) -> Self:
        return self if may(user, "inventory:read") else self.none()


def check_query(text: str) -> None:
    """Raises ValidationError with the column of what is wrong in a target query."""
    try:
        parse(text)
    except QueryError as error:
        raise ValidationError(f"The target query cannot be read: {error}.", "query") from None


class GroupQuerySet(VisibleQuerySet["Group"]):
    def with_nesting(self) -> Self:
        """With the groups above and below each, in a fixed number of queries."""
        return self.prefetch_related("parents", "children")


class Group(models.Model):
    """A named set of targets: those put into it, those of the groups below it, and those its query names.

    How groups and queries lead to one another is checked, and followed, by `automation.belonging`.
    """

    name = models.CharField(max_length=100, validators=[NAME])
    description = models.TextField(blank=True)
    parents = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="children")
    query = models.CharField(
        max_length=MAX_QUERY,
        blank=True,
        validators=[check_query],
        help_text="Targets that this query names are in the group as well.",
    )
    variables = models.JSONField(default=dict, blank=True)
    credential = models.ForeignKey(
        "credentials.Credential",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="groups",
        help_text="For its targets that have none of their own.",
    )

    objects = GroupQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                name="group_name_once",
                violation_error_message="There is a group of this name.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class TargetQuerySet(VisibleQuerySet["Target"]):
    def usable(self) -> Self:
        """Those that new work may be planned on."""
        return self.filter(enabled=True)

    def with_plan_parts(self) -> Self:
        """With everything a plan freezes, in a fixed number of queries."""
        return self.select_related("credential").prefetch_related("groups__credential", "host_keys")

    def bastions_of(self, targets: Iterable[Target]) -> dict[int, Target]:
        """All bastions on the ways to these targets, by id: one set of queries for each hop's depth."""
        found: dict[int, Target] = {}
        wanted = {target.bastion_id for target in targets if target.bastion_id}
        while wanted:
            found |= self.with_plan_parts().in_bulk(wanted)
            wanted = {t.bastion_id for t in found.values() if t.bastion_id} - found.keys()
        return found


class Target(models.Model):
    """A machine we may run on."""

    class Platform(models.TextChoices):
        LINUX = "linux"
        WINDOWS = "windows"

    class Transport(models.TextChoices):
        SSH = "ssh"
        WINRM = "winrm"

    name = models.CharField(max_length=100, validators=[NAME])
    address = models.CharField(max_length=253, validators=[check_address])
    platform = models.CharField(max_length=10, choices=Platform, default=Platform.LINUX)
    transport = models.CharField(max_length=10, choices=Transport, default=Transport.SSH)
    port = models.PositiveIntegerField(
        default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    winrm = models.JSONField(
        default=dict,
        blank=True,
        validators=[check_winrm],
        help_text="WinRM only: method (negotiate, ntlm, kerberos, basic, credssp), https, encrypt, …",
    )
    credential = models.ForeignKey(
        "credentials.Credential", null=True, blank=True, on_delete=models.SET_NULL, related_name="targets"
    )
    groups = models.ManyToManyField(Group, blank=True, related_name="targets")
    tags = models.JSONField(default=list, blank=True)
    environment = models.CharField(max_length=50, blank=True)
    zone = models.CharField(max_length=50, blank=True)
    variables = models.JSONField(default=dict, blank=True)
    bastion = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="behind",
        help_text="The target through which this one is reached. That one may be behind another.",
    )
    facts = models.JSONField(
        default=dict, blank=True, help_text="What was found on the machine: values by dotted names."
    )
    facts_at = models.DateTimeField(null=True, editable=False)
    enabled = models.BooleanField(default=True)
    maintenance = models.BooleanField(default=False, help_text="Left out of runs that do not ask for it.")
    maintenance_until = models.DateTimeField(null=True, blank=True)
    maintenance_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TargetQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                name="target_name_once",
                violation_error_message="There is a target of this name.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        expected = {"linux": "ssh", "windows": "winrm"}.get(self.platform)
        if expected and self.transport != expected:
            raise ValidationError({"transport": f"A {self.platform} target is reached over {expected}."})
        if self.winrm and self.transport != self.Transport.WINRM:
            raise ValidationError({"winrm": "Only a target that is reached over winrm has these settings."})
        if self.bastion is not None:
            self._check_way(self.bastion)

    def _check_way(self, bastion: Target) -> None:
        """The way has an end, and goes by SSH alone."""
        if self.transport != self.Transport.SSH:
            raise ValidationError({"bastion": "Only targets behind SSH can be reached through a bastion."})
        way = [self]
        hop: Target | None = bastion
        while hop is not None:
            if hop.pk == self.pk or hop in way[1:]:
                names = " → ".join([*(each.name for each in way), hop.name])
                raise ValidationError({"bastion": f"The way would lead in a circle: {names}."})
            if hop.transport != self.Transport.SSH:
                raise ValidationError(
                    {"bastion": f"{hop.name} is not reached over SSH, so it is no bastion."}
                )
            way.append(hop)
            hop = hop.bastion
        if len(way) > MOST_HOPS + 1:
            raise ValidationError({"bastion": f"More than {MOST_HOPS} bastions one after the other."})

    def way(self, bastions: Mapping[int, Target]) -> tuple[Target, ...]:
        """The bastions to go through, from here outwards, out of `bastions_of`.

        Raises ValueError where the way leads in a circle, which two changes at once can bring about.
        """
        hops: list[Target] = []
        hop = bastions.get(self.bastion_id or 0)
        while hop is not None:
            if hop in hops or hop == self or len(hops) == MOST_HOPS:
                raise ValueError(f"The way to {self.name} through {hop.name} leads in a circle.")
            hops.append(hop)
            hop = bastions.get(hop.bastion_id or 0)
        return tuple(hops)

    def is_in_use(self) -> bool:
        """Part of a live run that is not done with it, or locked by any run."""
        live = self.runs.filter(run__status__in=LIVE).exclude(state="done")
        return live.exists() or self.runs.filter(locks__isnull=False).exists()

    def trusted_keys(self) -> list[str]:
        """The keys a person trusts for this target, as `type base64`, in a stable order."""
        return sorted(k.line for k in self.host_keys.all() if k.state == HostKey.State.TRUSTED)

    def revoked_keys(self) -> list[str]:
        """The keys by which this target can never prove itself."""
        return sorted(k.line for k in self.host_keys.all() if k.state == HostKey.State.REVOKED)

    def learn(self, facts: Mapping[str, Any]) -> None:
        """Store what was found on the machine just now, in the place of what was known before."""
        self.facts, self.facts_at = dict(facts), timezone.now()
        self.save(update_fields=["facts", "facts_at"])

    @property
    def speaks_winrm(self) -> bool:
        """Reached over WinRM; else over SSH."""
        return self.transport == self.Transport.WINRM

    def in_maintenance(self, now: datetime) -> bool:
        """Whether people are at work on it; ends by itself when the time given for it is over."""
        return self.maintenance and (self.maintenance_until is None or self.maintenance_until > now)

    def enable(self, enabled: bool) -> None:  # noqa: FBT001  (the flag itself)
        """Let runs take it, or keep all of them from it."""
        self.enabled = enabled
        self.save(update_fields=["enabled"])

    def start_maintenance(self, *, until: datetime | None = None, reason: str = "") -> None:
        """Keep runs from it that do not ask for it, until then or until the maintenance is ended."""
        self.maintenance, self.maintenance_until, self.maintenance_reason = True, until, reason
        self.save(update_fields=["maintenance", "maintenance_until", "maintenance_reason"])

    def end_maintenance(self) -> None:
        """Let runs take it again."""
        self.maintenance, self.maintenance_until, self.maintenance_reason = False, None, ""
        self.save(update_fields=["maintenance", "maintenance_until", "maintenance_reason"])

    def flags(self, now: datetime) -> tuple[str, ...]:
        """The flags that a query's `is:` looks at."""
        return ("enabled" if self.enabled else "disabled", *(["maintenance"] * self.in_maintenance(now)))

    def key_state(self) -> str:
        """The host key state that matters most: a changed key, then a trusted one, then one to look at."""
        states = {key.state for key in self.host_keys.all()}
        return next((str(state) for state in KEY_STATES_BY_WEIGHT if state in states), "")


class HostKeyQuerySet(VisibleQuerySet["HostKey"]):
    def saw(self, target: Target, key_type: str, key: str, state: str) -> HostKey:
        """Record that `target` showed this key; a key already known keeps its state."""
        return self.saw_at(target.pk, key_type, key, state)

    def trust_all(self, keys: Iterable[HostKey], *, by: Any) -> int:
        """A person vouches for all of these at once, or for none; how many.

        Raises ValueError where two are of one type for one target: the second would revoke the first.
        """
        chosen = list(keys)
        per_type = Counter((key.target_id, key.key_type) for key in chosen)
        if twice := next((key for key in chosen if per_type[key.target_id, key.key_type] > 1), None):
            raise ValueError(
                f"Two {twice.key_type} keys of {twice.target.name} are chosen; only one can be the right one."
            )
        with transaction.atomic():
            for key in sorted(chosen, key=lambda key: key.target_id):
                key.trust(by=by)
        return len(chosen)

    def revoke_all(self, keys: Iterable[HostKey], *, by: Any) -> int:
        """None of these proves anything any more; how many."""
        chosen = list(keys)
        with transaction.atomic():
            for key in chosen:
                key.revoke(by=by)
        return len(chosen)

    def saw_at(self, target_id: int, key_type: str, key: str, state: str) -> HostKey:
        """The same, where only the target's id is at hand."""
        row, _ = self.get_or_create(
            target_id=target_id,
            key=key,
            defaults={"key_type": key_type, "state": state, "seen_at": timezone.now()},
        )
        return row


class HostKey(models.Model):
    """A key by which a target proves who it is. Work starts only against a trusted one."""

    class State(models.TextChoices):
        PENDING = "pending"
        TRUSTED = "trusted"
        CHANGED = "changed"
        REVOKED = "revoked"

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="host_keys")
    key_type = models.CharField(max_length=64)
    key = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    seen_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = HostKeyQuerySet.as_manager()

    class Meta:
        ordering = ("target", "key_type")
        constraints = (models.UniqueConstraint("target", "key", name="host_key_once_per_target"),)

    def __str__(self) -> str:
        return f"{self.key_type} {self.fingerprint}"

    @property
    def line(self) -> str:
        return f"{self.key_type} {self.key}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as ssh-keygen -l prints it."""
        return fingerprint(self.key)

    def trust(self, *, by: Any) -> None:
        """A person vouches for this key; keys of the same type that were trusted before are revoked."""
        with transaction.atomic():
            # The target's row: of two people who trust two keys of one type, the second revokes the first's.
            Target.objects.select_for_update().get(pk=self.target_id)
            replaced = HostKey.objects.filter(
                target_id=self.target_id, key_type=self.key_type, state=HostKey.State.TRUSTED
            ).exclude(pk=self.pk)
            replaced.update(state=HostKey.State.REVOKED, decided_by=by, decided_at=timezone.now())
            self._decide(HostKey.State.TRUSTED, by)

    def revoke(self, *, by: Any) -> None:
        self._decide(HostKey.State.REVOKED, by)

    def _decide(self, state: str, by: Any) -> None:
        self.state, self.decided_by, self.decided_at = state, by, timezone.now()
        self.save(update_fields=["state", "decided_by", "decided_at"])


KEY_STATES_BY_WEIGHT = (
    HostKey.State.CHANGED,
    HostKey.State.TRUSTED,
    HostKey.State.PENDING,
    HostKey.State.REVOKED,
)


class TargetLock(models.Model):
    """One changing run at a time on a machine. No time-out: freed with its last known end, or by a person."""

    key = models.CharField(max_length=200, unique=True)
    run = models.ForeignKey("automation.JobRun", on_delete=models.PROTECT, related_name="locks")
    run_target = models.ForeignKey("automation.RunTarget", on_delete=models.PROTECT, related_name="locks")
    taken_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key
