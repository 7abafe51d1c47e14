"""How targets are reached: their place, what proves who they are, as whom, and the bastions on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from automation.belonging import candidates
from automation.login_choice import Choices
from automation.models import HostCertificateAuthority, Target
from automation.models.winrm import DEFAULTS
from credentials.models import Credential


@dataclass(frozen=True, slots=True)
class Ways:
    """Everything that the places of many targets need, read in a fixed number of queries."""

    bastions: dict[int, Target]
    authorities: list[HostCertificateAuthority]
    groups: dict[int, tuple[str, ...]]
    """Names of all groups that each target and bastion is in, nested ones too."""
    choices: Choices

    @classmethod
    def of(cls, targets: Iterable[Target]) -> Ways:
        chosen = list(targets)
        bastions = Target.objects.bastions_of(chosen)
        authorities = HostCertificateAuthority.objects.trusted()
        asked = [*chosen, *bastions.values()] if authorities else []
        groups = {each.target.pk: each.groups for each in candidates(asked)}
        return cls(bastions, authorities, groups, Choices())

    def authorities_for(self, target: Target) -> list[HostCertificateAuthority]:
        """Those whose host certificates may prove who this target is."""
        groups = self.groups.get(target.pk, ())
        return [each for each in self.authorities if each.vouches_for(target, groups)]

    def place(self, target: Target) -> dict[str, Any]:
        """Where this target is, what proves it, and as whom to log in; without its bastions."""
        choice = self.choices.of(target)
        credential = choice.credential
        found = {
            "target": target.pk,
            "name": target.name,
            "address": target.address,
            "port": target.port,
            "host_keys": target.trusted_keys(),
            "authorities": sorted({each.line for each in self.authorities_for(target)}),
            "credential": credential.pk if credential else None,
            "login": credential.username if credential else None,
            "why_credential": choice.why,
        }
        if target.speaks_winrm:
            found["winrm"] = DEFAULTS | target.winrm | {"revoked": bool(target.revoked_keys())}
        return found

    def credentials(self, target: Target) -> list[Credential | None]:
        """The target's own first, then those of the bastions. Raises ValueError for a circle."""
        return [self.choices.of(each).credential for each in (target, *target.way(self.bastions))]

    def via(self, target: Target) -> list[dict[str, Any]]:
        """The places of the bastions, the one that we connect to first. Raises ValueError for a circle."""
        return [self.place(hop) for hop in reversed(target.way(self.bastions))]


def places(leaf: dict[str, Any]) -> list[dict[str, Any]]:
    """All places that a leaf names: the target's own, then those of the bastions on the way."""
    return [leaf, *leaf.get("via", [])]


def provable(place: dict[str, Any]) -> bool:
    """Whether there is anything by which the machine at this place can prove who it is.

    A Windows target shows a certificate that an authority vouches for, or proves over plain HTTP that it
    knows the login. Once a pin of it was revoked, only another pin will do: the authority's word did not.
    """
    if "winrm" in place:
        return bool(place["host_keys"] or not place["winrm"]["revoked"])
    return bool(place["host_keys"] or place.get("authorities"))
