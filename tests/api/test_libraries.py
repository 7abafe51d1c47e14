"""What the portal tells of the libraries that reach targets."""

from __future__ import annotations

from typing import Any


def test_each_library_tells_versions_capabilities_limits_and_readiness(clients: Any) -> None:
    linux, windows = clients["viewer"].get("/api/v1/libraries/").json()["results"]
    assert (linux["default_port"], windows["default_ports"]) == (22, {"https": 5986, "http": 5985})
    for library in (linux, windows):
        assert library["ready"] is True
        assert library["capabilities"] and library["supported_auth"] and library["dependencies"]
        assert library["timeouts"]["script"] == 600
        assert library["retry_settings"]["max_retries"] == 0


def test_a_group_is_meant_whatever_its_case(clients: Any, make_target: Any) -> None:
    make_target("a", groups=("Web",))
    found = clients["viewer"].get("/api/v1/targets/", {"q": "group:wEB"}).json()["results"]
    assert [target["name"] for target in found] == ["a"]
    seen = clients["viewer"].get(f"/api/v1/targets/{found[0]['id']}/").json()
    assert seen["name"] == "a"
    assert not {"password", "secret", "private_key"} & seen.keys()
