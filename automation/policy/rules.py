"""Policy as data: which runs may start, and how many people must agree first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt

Tier = Literal["read", "change", "destructive"]
AuthorKind = Literal["person", "service", "ai"]
DEFAULT = Path(__file__).with_name("default.yaml")


class Conditions(BaseModel):
    """All that are given must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tier: tuple[Tier, ...] | None = None
    author: tuple[AuthorKind, ...] | None = None
    environment: tuple[str, ...] | None = None
    targets_over: NonNegativeInt | None = None

    def hold(self, facts: Facts) -> bool:
        return (
            (self.tier is None or facts.tier in self.tier)
            and (self.author is None or facts.author in self.author)
            and (self.environment is None or bool(facts.environments & {e.lower() for e in self.environment}))
            and (self.targets_over is None or facts.targets > self.targets_over)
        )


class Rule(BaseModel):
    """What is asked of a run for which the conditions hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    when: Conditions = Conditions()
    approvals: NonNegativeInt = 0
    deny: str = ""
    canary: bool = False


class Policy(BaseModel):
    """A list of rules; `version` names their content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...]

    @property
    def version(self) -> str:
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def decide(self, facts: Facts) -> Decision:
        """The strictest answer of all rules that apply; a run no rule speaks of needs one approval."""
        matched = [rule for rule in self.rules if rule.when.hold(facts)]
        return Decision(
            approvals=max((rule.approvals for rule in matched), default=1),
            canary=any(rule.canary for rule in matched),
            denied="; ".join(rule.deny for rule in matched if rule.deny),
            rules=tuple(rule.name for rule in matched),
            version=self.version,
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a policy may look at."""

    tier: Tier
    author: AuthorKind
    environments: frozenset[str]  # in lower case
    targets: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What must happen before the run may start."""

    approvals: int
    canary: bool
    denied: str
    rules: tuple[str, ...]
    version: str


@lru_cache(maxsize=8)
def _parsed(path: Path, changed_at: int) -> Policy:
    del changed_at  # part of the cache's key only
    return Policy.model_validate(yaml.safe_load(path.read_text()))


def load_policy(path: Path = DEFAULT) -> Policy:
    """The policy in a YAML file, read again when the file has changed. Raises ValueError for a broken one."""
    return _parsed(path, path.stat().st_mtime_ns)
