from __future__ import annotations

import pytest

from automation.libraries.deadlines import after
from automation.libraries.errors import ResolveFailed, TargetInvalid
from automation.libraries.resolution import parse_target, resolve
from automation.libraries.types import Endpoint


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("web1", "web1", 22),
        (" web1.example.org ", "web1.example.org", 22),
        ("web1:2222", "web1", 2222),
        ("10.0.0.1", "10.0.0.1", 22),
        ("10.0.0.1:23", "10.0.0.1", 23),
        ("::1", "::1", 22),
        ("[::1]", "::1", 22),
        ("[fe80::1]:2022", "fe80::1", 2022),
    ],
)
def test_a_target_is_a_name_or_address_with_or_without_port(text: str, host: str, port: int) -> None:
    assert parse_target(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text",
    ["", "web1:", "web1:0", "web1:65536", "web1:ssh", "[::1", "[::1]22", "a b", "-oProxyCommand=x", "http://a/",
     "user:pw@host", "web1:99999999999", "ẅeb:1:2"],
)  # fmt: skip
def test_anything_else_is_not_a_target(text: str) -> None:
    with pytest.raises(TargetInvalid):
        parse_target(text)


def test_an_endpoint_is_taken_as_it_is() -> None:
    endpoint = Endpoint("web1", 2222, ("ssh-ed25519 A",))
    assert parse_target(endpoint) is endpoint


def test_a_name_resolves_to_all_its_addresses() -> None:
    assert "127.0.0.1" in [str(address) for address in resolve("localhost", 22, deadline=after(5))]


def test_an_address_resolves_to_itself_without_asking_anybody() -> None:
    assert [str(address) for address in resolve("::1", 22, deadline=after(0))] == ["::1"]


def test_a_name_that_no_dns_can_hold_fails_to_resolve() -> None:
    with pytest.raises(ResolveFailed):
        resolve("a" * 300, 22, deadline=after(5))
