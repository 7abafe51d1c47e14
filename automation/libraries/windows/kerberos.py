"""The configuration of MIT Kerberos for the realms of the settings.

The Kerberos libraries read it from the file that KRB5_CONFIG names, for the whole process: the process sets
that once, when it starts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_REALM = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,253}")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?")


def krb5_configuration(realms: Mapping[str, Sequence[str]]) -> str:
    """The text of krb5.conf for these realms with their key distribution centres; the first is the default.

    Without centres a realm's are looked up in DNS. Names are used as written, so that a target's ticket is
    for the very name that people see. Raises ValueError for what is no realm or centre.
    """
    if not realms:
        raise ValueError("there is no realm")
    lines = ["[libdefaults]", f" default_realm = {next(iter(realms))}"]
    lines += [" dns_canonicalize_hostname = false", " rdns = false", " dns_lookup_realm = false"]
    # A ticket of Active Directory is too large for one datagram.
    lines += [f" dns_lookup_kdc = {'false' if all(realms.values()) else 'true'}", " udp_preference_limit = 1"]
    lines += ["[realms]"]
    domains = ["[domain_realm]"]
    for realm, centres in realms.items():
        if not _REALM.fullmatch(realm):
            raise ValueError(f"{realm[:60]!r} is not a realm: write it in capitals, like EXAMPLE.COM")
        if wrong := [centre for centre in centres if not _PLACE.fullmatch(centre)]:
            raise ValueError(f"{wrong[0][:60]!r} is not a key distribution centre: write name or name:port")
        lines += [f" {realm} = {{", *(f"  kdc = {centre}" for centre in centres), " }"]
        domains += [f" .{realm.lower()} = {realm}", f" {realm.lower()} = {realm}"]
    return "\n".join([*lines, *domains, ""])
