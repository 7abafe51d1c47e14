"""From places, frozen or of today, to where the wire connects; and what machines showed on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from automation.host_key_lines import authority_pem
from automation.libraries.errors import HostKeyChanged, LibraryError
from automation.libraries.types import Credentials, Endpoint, Hop
from automation.libraries.windows.types import WinRMEndpoint
from automation.models import HostKey, Target
from automation.ways import places

Place = Mapping[str, Any]
LoginOf = Callable[[Place], Credentials]


def endpoint_of(leaf: dict[str, Any], *, login: LoginOf, revoked: Mapping[int, Sequence[str]]) -> Endpoint:
    """Where the leaf's target is reached. `login` gives each bastion's; `revoked` keys are by target's id."""
    via: Hop | None = None
    for hop in leaf.get("via", []):
        via = Hop(hop["name"], _endpoint(hop, via, revoked), login(hop))
    return _endpoint(leaf, via, revoked)


def _endpoint(place: Place, via: Hop | None, revoked: Mapping[int, Sequence[str]]) -> Endpoint:
    if "winrm" in place:
        return _windows_endpoint(place)
    return Endpoint(
        place["address"],
        place["port"],
        host_keys=tuple(place["host_keys"]),
        authorities=tuple(place.get("authorities", ())),
        principals=(place["name"],),
        revoked_keys=tuple(revoked.get(place["target"], ())),
        via=via,
    )


def _windows_endpoint(place: Place) -> WinRMEndpoint:
    how = place["winrm"]
    return WinRMEndpoint(
        place["address"],
        place["port"],
        host_keys=tuple(place["host_keys"]),
        https=how["https"],
        method=how["method"],
        authority="".join(authority_pem(line) for line in place.get("authorities", ())),
        encrypt=how["encrypt"],
        service_name=how["service_name"],
    )


def keep_shown_key(leaf: dict[str, Any], error: LibraryError | None) -> None:
    """Keep a key that the target, or a bastion, showed and nobody trusts, for a person to look at."""
    presented = getattr(error, "presented", "")
    if error is None or not presented:
        return
    shown_by = next((each for each in places(leaf)[1:] if each["name"] == error.hop), None)
    if error.hop and shown_by is None:
        return
    state = HostKey.State.CHANGED if isinstance(error, HostKeyChanged) else HostKey.State.PENDING
    key_type, key = presented.split()[:2]
    number = (shown_by or leaf)["target"]
    if Target.objects.filter(pk=number).exists():
        HostKey.objects.saw_at(number, key_type, key, state)
