"""A proposal as a person reads it: what was understood, on which targets, in which steps."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError
from aiworkflows.client_types import StepResult
from aiworkflows.models import Proposal

TARGETS_READ: Final = 200
TARGETS_SHOWN: Final = 12
RESULTS_READ: Final = 1000
RESULTS_SHOWN: Final = 50
FAIRLY_SURE, SURE = 0.85, 0.93


@dataclass(frozen=True, slots=True)
class Reach:
    """The targets that a query means now; `error` when it means nothing."""

    names: tuple[str, ...] = ()
    total: int = 0
    more: bool = False
    environments: tuple[str, ...] = ()
    error: str = ""

    @property
    def unnamed(self) -> int:
        return self.total - len(self.names)


def reach_of(query: str, client: AutomationClient) -> Reach:
    """Ask the automation which targets these are; an answer it does not give is told, not raised."""
    try:
        found = list(islice(client.targets(query), TARGETS_READ + 1))
    except AutomationError as error:
        causes = [str(each["message"]) for each in error.errors if "message" in each]
        return Reach(error=" ".join(causes) or error.detail)
    kept = found[:TARGETS_READ]
    return Reach(
        names=tuple(target.name for target in kept[:TARGETS_SHOWN]),
        total=len(kept),
        more=len(found) > TARGETS_READ,
        environments=tuple(sorted({target.environment for target in kept if target.environment})),
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """How the run of a proposal stands at an automation service elsewhere; `error` when it does not say."""

    address: str
    status: str = ""
    final: bool = False
    results: tuple[StepResult, ...] = ()
    total: int = 0
    error: str = ""


def followed(run: int, address: str, client: AutomationClient) -> Followed:
    """Ask how the run stands; an answer that is not given is told, not raised."""
    try:
        now = client.status(run)
        rows = list(islice(client.results(run), RESULTS_READ))
    except AutomationError as error:
        return Followed(address, error=error.detail)
    first = sorted(rows, key=lambda row: row.state == "succeeded")[:RESULTS_SHOWN]
    return Followed(address, now.status, now.final, tuple(first), len(rows))


def title_of(proposal: Proposal) -> str:
    """What would be done, in words."""
    for each in proposal.alternatives:
        if each["runbook"] == proposal.runbook:
            return str(each["title"])
    return str((proposal.definition or {}).get("summary", ""))


def sureness(proposal: Proposal) -> str:
    if proposal.confidence >= SURE:
        return "sure"
    return "fairly sure" if proposal.confidence >= FAIRLY_SURE else "not sure"


def others(proposal: Proposal) -> list[dict[str, Any]]:
    """The runbooks that may have been meant instead."""
    return [
        {**each, "percent": round(100 * each.get("score", 0))}
        for each in proposal.alternatives
        if each["runbook"] != proposal.runbook
    ]


def moment_of(proposal: Proposal) -> dict[str, Any] | None:
    """The time that the sentence speaks of; `at` None where it is no single moment."""
    if not proposal.time:
        return None
    iso = proposal.time["at"]
    if not iso:
        return {**proposal.time, "iso": ""}
    at = datetime.fromisoformat(iso)
    # The stored text has the offset alone; with its zone the page can name it.
    return {**proposal.time, "iso": iso, "at": at.astimezone(ZoneInfo(proposal.time["zone"]))}


def steps_of(proposal: Proposal) -> list[dict[str, Any]]:
    """Each step's name, effect, shells, and which bodies beside `run` it brings."""
    return [
        {
            "name": step["name"],
            "effect": step.get("effect", "change"),
            "become": step.get("become", False),
            "shells": sorted(step.get("run", {})),
            "brings": [body for body in ("check", "verify", "undo") if body in step],
        }
        for step in (proposal.definition or {}).get("steps", [])
    ]


class _Readable(yaml.SafeDumper):
    """Scripts as blocks, line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def as_yaml(definition: Any) -> str:
    """The definition as a person would write it."""
    return str(yaml.dump(definition, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=110))
