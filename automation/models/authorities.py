"""Certificate authorities whose host certificates we accept, and for which targets."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower

from automation.host_key_lines import TLS_AUTHORITY, check_authority, fingerprint
from automation.models.inventory import NAME, Group, Target, VisibleQuerySet

if TYPE_CHECKING:
    from collections.abc import Collection


class AuthorityQuerySet(VisibleQuerySet["HostCertificateAuthority"]):
    def trusted(self) -> list[HostCertificateAuthority]:
        """Those in use, ready to be asked for many targets."""
        return list(self.filter(enabled=True).prefetch_related("groups"))


def check_patterns(value: Any) -> None:
    """A list of names or addresses with * and ?; raises ValidationError."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValidationError("Write a list of names or addresses, like db*.example.com.")
    if any(len(each) > 253 or any(letter.isspace() for letter in each) for each in value):
        raise ValidationError("A name or address has no spaces and at most 253 characters.")


class HostCertificateAuthority(models.Model):
    """A key that signs host certificates: machines prove themselves by it without a key of their own.

    It vouches for targets whose name or address matches one of `patterns`, or that are in one of `groups`;
    with neither it vouches for nobody. The certificate must name the target all the same.
    """

    name = models.CharField(max_length=100, validators=[NAME])
    key_type = models.CharField(max_length=64)
    key = models.TextField()
    patterns = models.JSONField(default=list, blank=True, validators=[check_patterns])
    groups = models.ManyToManyField(Group, blank=True, related_name="host_certificate_authorities")
    enabled = models.BooleanField(default=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AuthorityQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "host certificate authorities"
        constraints = (
            models.UniqueConstraint(
                Lower("name"),
                name="authority_name_once",
                violation_error_message="There is an authority of this name.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            self.key_type, self.key = check_authority(self.key_type, self.key)
        except ValueError as error:
            raise ValidationError({"key": f"This {error}."}) from None

    @property
    def line(self) -> str:
        return f"{self.key_type} {self.key}"

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` as ssh-keygen -l prints it."""
        return fingerprint(self.key)

    def vouches_for(self, target: Target, groups: Collection[str]) -> bool:
        """Whether a certificate it signed may prove who this target is, which is in `groups`, by name."""
        if target.speaks_winrm != (self.key_type == TLS_AUTHORITY):
            return False
        names = (target.name.lower(), target.address.lower())
        if any(_matches(name, pattern.lower()) for pattern in self.patterns for name in names):
            return True
        return any(group.name in groups for group in self.groups.all())


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
