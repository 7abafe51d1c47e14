"""What may stand in a target's address and in the name we log in by."""

from __future__ import annotations

import ipaddress
import re

from django.core.exceptions import ValidationError

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
# Other spellings of numbers (octal, hexadecimal, one number) reach an address that nobody reads in them.
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
# What a shell or a tool could take for something else: an option, an expansion, the end of a line.
_USERNAME = re.compile(r"(?!-)[^\s\"'`$;&|<>()%\x00-\x1f\x7f]{1,256}")
# Where clouds hand out the credentials of the machine that asks.
_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))


def check_address(text: str) -> None:
    """A host name by RFC 1123 (underscores allowed), an IPv4 or an IPv6 address, with or without zone.

    Raises ValidationError, also for addresses that name no single machine and for those of cloud metadata.
    """
    bare, _, zone = text.partition("%")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        if not _is_host_name(text):
            raise ValidationError("Must be a host name or an IP address.", "address") from None
        return
    mapped = getattr(address, "ipv4_mapped", None)
    if "%" in text and (address.version == 4 or not _ZONE.fullmatch(zone)):
        raise ValidationError(
            "Only an IPv6 address has a zone, of letters, digits, dots and dashes.", "address"
        )
    if mapped or address.is_unspecified or address.is_multicast or address in _METADATA:
        raise ValidationError("This address is not one of a machine we may reach.", "address")


def check_username(text: str) -> None:
    """A user name, with or without a domain. Raises ValidationError."""
    if not _USERNAME.fullmatch(text):
        raise ValidationError(
            "A user name never starts with - and holds no spaces, quotes or characters of a shell.",
            "username",
        )


def _is_host_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return (
        len(text) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not _NUMBER.fullmatch(labels[-1])
    )
