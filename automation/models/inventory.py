"""Targets, their groups, their host keys, and what we learned of their spools."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from automation.addresses import check_address
from automation.models.access import may
from automation.models.runs import LIVE

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Principal = AbstractBaseUser | AnonymousUser

# A leading dash could be read as an option by some tool one day; we need none of these characters.
NAME = RegexValidator(r"^[^\s\-\"'][^\"'\x00-\x1f\x7f]{0,99}$", "A name may not start with - or a quote.")


Row = TypeVar("Row", bound=models.Model)


class VisibleQuerySet(models.QuerySet[Row]):
    """Rows that belong to the inventory: whoever may read it sees all of it."""

    def visible_to(self, user: Principal) -> Self:
        return self if may(user, "inventory:read") else self.none()


class Group(models.Model):
    """A named set of targets."""

    name = models.CharField(max_length=100, validators=[NAME])
    description = models.TextField(blank=True)
    variables = models.JSONField(default=dict, blank=True)
    credential = models.ForeignKey(
        "credentials.Credential",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="groups",
        help_text="For its targets that have none of their own.",
    )

    objects = VisibleQuerySet.as_manager()

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
    credential = models.ForeignKey(
        "credentials.Credential", null=True, blank=True, on_delete=models.SET_NULL, related_name="targets"
    )
    groups = models.ManyToManyField(Group, blank=True, related_name="targets")
    tags = models.JSONField(default=list, blank=True)
    environment = models.CharField(max_length=50, blank=True)
    zone = models.CharField(max_length=50, blank=True)
    variables = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
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
        expected = {"linux": "ssh"}.get(self.platform)
        if expected and self.transport != expected:
            raise ValidationError({"transport": f"A {self.platform} target is reached over {expected}."})

    def is_in_use(self) -> bool:
        """Part of a live run that is not done with it, or locked by any run."""
        live = self.runs.filter(run__status__in=LIVE).exclude(state="done")
        return live.exists() or self.runs.filter(locks__isnull=False).exists()

    def trusted_keys(self) -> list[str]:
        """The keys a person trusts for this target, as `type base64`, in a stable order."""
        return sorted(k.line for k in self.host_keys.all() if k.state == HostKey.State.TRUSTED)

    def all_variables(self) -> dict[str, Any]:
        """Variables of its groups, in order of group name, overridden by its own."""
        return {name: found[-1].value for name, found in self.variable_sources().items()}

    def variable_sources(self) -> dict[str, list[VariableSource]]:
        """Each variable with everything that sets it; the last one holds. A target's own has no group."""
        found: dict[str, list[VariableSource]] = {}
        for group in sorted(self.groups.all(), key=lambda g: g.name.lower()):
            for name, value in group.variables.items():
                found.setdefault(name, []).append(VariableSource(value, group))
        for name, value in self.variables.items():
            found.setdefault(name, []).append(VariableSource(value, None))
        return found

    def key_state(self) -> str:
        """The host key state that matters most: a changed key, then a trusted one, then one to look at."""
        states = {key.state for key in self.host_keys.all()}
        return next((str(state) for state in KEY_STATES_BY_WEIGHT if state in states), "")


@dataclass(frozen=True, slots=True)
class VariableSource:
    """One place that gives a variable its value; no group means the target itself."""

    value: Any
    group: Group | None


class HostKeyQuerySet(VisibleQuerySet["HostKey"]):
    def saw(self, target: Target, key_type: str, key: str, state: str) -> HostKey:
        """Record that `target` showed this key; a key already known keeps its state."""
        row, _ = self.get_or_create(
            target=target, key=key, defaults={"key_type": key_type, "state": state, "seen_at": timezone.now()}
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


def fingerprint(key: str) -> str:
    """The SHA-256 fingerprint of a base64 key blob, as OpenSSH writes it."""
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


KEY_STATES_BY_WEIGHT = (
    HostKey.State.CHANGED,
    HostKey.State.TRUSTED,
    HostKey.State.PENDING,
    HostKey.State.REVOKED,
)


class Spool(models.Model):
    """Where a target keeps our attempts, for the login or for root; its id proves that it is the same one."""

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="spools")
    become = models.BooleanField()
    spool_id = models.CharField(max_length=64, blank=True)
    path = models.CharField(max_length=500, blank=True)
    boot = models.CharField(max_length=100, blank=True)
    detach = models.CharField(max_length=10, blank=True)
    guard = models.CharField(max_length=10, default="sh")
    survives_logout = models.BooleanField(null=True)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint("target", "become", name="spool_once_per_side"),)

    def __str__(self) -> str:
        return f"{self.target_id}:{self.path}"


class TargetLock(models.Model):
    """One changing run at a time on a machine. No time-out: freed with its last known end, or by a person."""

    key = models.CharField(max_length=200, unique=True)
    run = models.ForeignKey("automation.JobRun", on_delete=models.PROTECT, related_name="locks")
    run_target = models.ForeignKey("automation.RunTarget", on_delete=models.PROTECT, related_name="locks")
    taken_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key
