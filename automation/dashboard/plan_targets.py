"""The targets of a plan as its leaves froze them, each with the reason it is in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from automation.choose import reasons
from automation.definitions.errors import QueryError
from automation.definitions.query import Query, parse
from automation.host_key_lines import fingerprint
from automation.models import RunTarget
from automation.ways import provable


@dataclass(frozen=True, slots=True)
class LeafCandidate:
    """What the query was asked about when a plan was frozen that does not tell the reasons itself."""

    name: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    environment: str
    platform: str
    zone: str
    variables: dict[str, Any]
    facts: dict[str, Any]
    flags: tuple[str, ...]

    @classmethod
    def of(cls, leaf: dict[str, Any]) -> LeafCandidate:
        return cls(
            name=leaf["name"],
            groups=tuple(leaf["groups"]),
            tags=tuple(leaf["tags"]),
            environment=leaf["environment"],
            platform=leaf["platform"],
            zone=leaf["zone"],
            variables=leaf["variables"],
            facts={},
            flags=("enabled",),
        )


def why(query: Query | None, leaf: dict[str, Any]) -> list[str]:
    """In words, why the query named this target when the plan was frozen."""
    if "why" in leaf:
        return [str(each) for each in leaf["why"]]
    return reasons(query, LeafCandidate.of(leaf)) if query is not None else []


def read_query(text: str) -> Query | None:
    """The query a header holds; None when this version of the language cannot read it."""
    try:
        return parse(text)
    except QueryError:
        return None


@dataclass(frozen=True, slots=True)
class Hop:
    """A bastion on the way, as it was frozen."""

    name: str
    address: str
    login: str | None
    credential: str
    proven: bool


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """What the page shows of one target."""

    name: str
    position: int
    batch: int
    leaf: dict[str, Any]
    leaf_hash: str
    reasons: list[str]
    credential: str
    host_keys: list[tuple[str, str]]
    authorities: list[tuple[str, str]]
    hops: list[Hop]
    variables: list[tuple[str, str]]
    unfit: str

    @property
    def address(self) -> str:
        return _address(self.leaf)

    @property
    def proven(self) -> bool:
        """Something was trusted by which the machine can prove itself."""
        return provable(self.leaf)


def planned(
    rows: Iterable[RunTarget],
    *,
    query: Query | None,
    credentials: dict[int, str],
    unfit: Iterable[dict[str, Any]] = (),
) -> list[PlannedTarget]:
    """The rows as the page shows them; `credentials` are names by id, as far as the reader may know them,
    `unfit` what the blast radius tells of credentials that do not fit."""
    found = []
    misfits = {name: each["message"] for each in unfit for name in each["targets"]}
    for row in rows:
        leaf = json.loads(row.leaf)
        found.append(
            PlannedTarget(
                name=row.name,
                position=row.position,
                batch=row.batch,
                leaf=leaf,
                leaf_hash=row.leaf_hash,
                reasons=why(query, leaf),
                credential=_credential(leaf["credential"], credentials),
                host_keys=[_host_key(line) for line in leaf["host_keys"]],
                authorities=[_host_key(line) for line in leaf.get("authorities", [])],
                hops=[_hop(place, credentials) for place in leaf.get("via", [])],
                variables=[(name, as_text(value)) for name, value in sorted(leaf["variables"].items())],
                unfit=misfits.get(row.name, ""),
            )
        )
    return found


def _hop(place: dict[str, Any], credentials: dict[int, str]) -> Hop:
    return Hop(
        name=place["name"],
        address=_address(place),
        login=place["login"],
        credential=_credential(place["credential"], credentials),
        proven=provable(place),
    )


def _address(place: dict[str, Any]) -> str:
    host, port = place["address"], place["port"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _credential(pk: int | None, names: dict[int, str]) -> str:
    if pk is None:
        return ""
    return names.get(pk, f"credential {pk}, which was deleted")


def _host_key(line: str) -> tuple[str, str]:
    key_type, key = line.split(" ", 1)
    return key_type, fingerprint(key)


def as_text(value: Any) -> str:
    """A parameter's or variable's value: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
