"""Who may do what: roles, scopes, tokens, and the record of answered requests."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from automation.roles import SCOPES
from automation.scopes import may as may
from automation.scopes import scopes_of as scopes_of

TOKEN_DAYS = 90


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def issue(
        self, *, name: str, user: Any, kind: str, scopes: list[str], expires_at: datetime | None = None
    ) -> tuple[ApiToken, str]:
        """A new token and its text, which is nowhere kept and never shown again.

        Raises ValueError for an unknown kind or scope, and for `runs:approve` on anything but a person's.
        """
        if kind not in ApiToken.Kind.values:
            raise ValueError(f"Unknown kind {kind!r}: one of {', '.join(ApiToken.Kind.values)}.")
        if unknown := sorted(set(scopes) - SCOPES):
            raise ValueError(f"Unknown scope {unknown[0]!r}: one of {', '.join(sorted(SCOPES))}.")
        if kind != ApiToken.Kind.PERSON and {"runs:approve", "admin"} & set(scopes):
            raise ValueError(f"A token of kind {kind} can never approve: leave out runs:approve and admin.")
        text = "ops_" + secrets.token_urlsafe(32)
        token = self.create(
            name=name,
            user=user,
            kind=kind,
            scopes=sorted(set(scopes)),
            digest=digest(text),
            expires_at=expires_at or timezone.now() + timedelta(days=TOKEN_DAYS),
        )
        return token, text

    def alive(self) -> ApiTokenQuerySet:
        """Those that open the door now."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True)

    def valid(self, text: str) -> ApiToken | None:
        """The living token with this text, if its owner is still active."""
        return self.alive().select_related("user").filter(digest=digest(text)).first()


def digest(text: str) -> str:
    # 256 random bits: a plain hash is enough, there is nothing to guess.
    return hashlib.sha256(text.encode()).hexdigest()


class ApiToken(models.Model):
    """A key to the API. Stored hashed; never allows more than its owner's roles."""

    class Kind(models.TextChoices):
        PERSON = "person"
        SERVICE = "service"
        AI = "ai"

    name = models.CharField(max_length=100)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    kind = models.CharField(max_length=10, choices=Kind)
    scopes = models.JSONField(default=list)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    def has_scope(self, scope: str) -> bool:
        if scope == "runs:approve" and self.kind != ApiToken.Kind.PERSON:
            return False
        held = set(self.scopes)
        return (scope in held or "admin" in held) and may(self.user, scope)

    def used(self) -> None:
        """Note the use, at most once a minute: a write a request would serialise all readers."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)

    def revoke(self) -> None:
        self.revoked_at = timezone.now()
        self.save(update_fields=["revoked_at"])


class AnsweredRequest(models.Model):
    """The answer given under an idempotency key, written in the transaction of the work it answers."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    key = models.CharField(max_length=200)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint("user", "key", name="idempotency_key_once_per_user"),)

    def __str__(self) -> str:
        return self.key
