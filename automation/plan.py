"""Freezing: from workflow, query and parameters to the plan that people approve and workers re-check.

Two levels of hash. The header covers what is the same for all targets, a leaf covers one target; the plan
hash covers the header's hash and every leaf's, in order. Stored text is hashed to the byte: nothing is
serialised anew to check it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, Q

from automation.definitions.parameters import check_parameters
from automation.definitions.query import Query
from automation.definitions.rollout import RolloutPlan, in_order, plan_rollout
from automation.definitions.schema import Workflow, missing_bodies, read_rollout
from automation.login_choice import Choices
from automation.models import Group, Target, TargetLock
from automation.policy.rules import Tier
from credentials.models import Credential


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class PlanError(ValueError):
    """The request cannot become a plan; `errors` says where and why."""

    def __init__(self, code: str, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        self.code = code
        self.errors = errors or []
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class FrozenTarget:
    """One target's leaf."""

    target: Target
    leaf: str
    leaf_hash: str
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run will do, before it exists."""

    workflow: Workflow
    parameters: dict[str, Any]
    rollout: RolloutPlan
    header: str
    header_hash: str
    plan_hash: str
    targets: tuple[FrozenTarget, ...]

    @property
    def tier(self) -> Tier:
        return self.workflow.tier

    @property
    def environments(self) -> frozenset[str]:
        return frozenset(t.target.environment.lower() for t in self.targets if t.target.environment)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target as a query sees it."""

    name: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    environment: str
    platform: str
    zone: str
    variables: dict[str, Any]
    facts: dict[str, Any]

    @classmethod
    def of(cls, target: Target) -> Candidate:
        return cls(
            name=target.name,
            groups=tuple(group.name for group in target.groups.all()),
            tags=tuple(target.tags),
            environment=target.environment,
            platform=target.platform,
            zone=target.zone,
            variables=target.all_variables(),
            facts={},
        )

    @classmethod
    def of_leaf(cls, leaf: dict[str, Any]) -> Candidate:
        """What the query was asked about when the plan was frozen."""
        return cls(
            name=leaf["name"],
            groups=tuple(leaf["groups"]),
            tags=tuple(leaf["tags"]),
            environment=leaf["environment"],
            platform=leaf["platform"],
            zone=leaf["zone"],
            variables=leaf["variables"],
            facts={},
        )


def matching(query: Query, targets: list[Target]) -> list[Target]:
    """Those of `targets` that the query names, in the order in which a rollout takes them."""
    chosen = [target for target in targets if query.matches(Candidate.of(target))]
    by_name = {target.name: target for target in chosen}
    return [by_name[name] for name in in_order(by_name)]


def freeze(
    workflow: Workflow,
    query: Query,
    *,
    parameters: dict[str, Any],
    rollout: dict[str, Any] | None,
    visible: list[Target],
    dry_run: bool = False,
    policy_version: str = "",
) -> Plan:
    """The plan of `workflow` on those of `visible` that `query` names.

    Raises PlanError when nothing matches, a target has no body for its platform, a parameter is wrong, or a
    credential has expired.
    """
    chosen = _chosen(workflow, query, visible)
    values = check_parameters(workflow, parameters)
    arithmetic = plan_rollout(
        len(chosen),
        read_rollout(rollout) if rollout is not None else workflow.rollout,
        tier="read" if dry_run else workflow.tier,
    )
    if arithmetic.on_failure == "pause":
        raise PlanError(
            "rollout.pause",
            "A rollout cannot pause yet: let on_failure be undo or stop.",
            [{"path": "rollout.on_failure", "message": "must be undo or stop"}],
        )
    header = canonical(
        {
            "v": 1,
            "workflow": workflow.canonical(),
            "parameters": values,
            "rollout": asdict(arithmetic),
            "query": query.to_text(),
            "dry_run": dry_run,
            "policy": policy_version,
        }
    )
    choices = Choices()
    leaves = tuple(freeze_target(target, choices) for target in chosen)
    _refuse_expired(leaves)
    header_hash = sha256(header)
    return Plan(
        workflow=workflow,
        parameters=values,
        rollout=arithmetic,
        header=header,
        header_hash=header_hash,
        plan_hash=hash_plan(header_hash, [leaf.leaf_hash for leaf in leaves]),
        targets=leaves,
    )


def hash_plan(header_hash: str, leaf_hashes: list[str]) -> str:
    return sha256("\n".join([header_hash, *leaf_hashes]))


def freeze_target(target: Target, choices: Choices) -> FrozenTarget:
    """What a worker needs to reach this target, and must find unchanged when it does."""
    choice = choices.of(target)
    credential = choice.credential
    leaf = canonical(
        {
            "target": target.pk,
            "name": target.name,
            "address": target.address,
            "port": target.port,
            "platform": target.platform,
            "transport": target.transport,
            "environment": target.environment,
            "zone": target.zone,
            "groups": sorted(group.name for group in target.groups.all()),
            "tags": sorted(target.tags),
            "host_keys": target.trusted_keys(),
            "credential": credential.pk if credential else None,
            "login": credential.username if credential else None,
            "why_credential": choice.why,
            "variables": target.all_variables(),
        }
    )
    return FrozenTarget(target=target, leaf=leaf, leaf_hash=sha256(leaf), credential=credential)


def _refuse_expired(targets: tuple[FrozenTarget, ...]) -> None:
    late: dict[str, list[str]] = {}
    for frozen in targets:
        if frozen.credential is not None and frozen.credential.expired:
            late.setdefault(frozen.credential.name, []).append(frozen.target.name)
    if late:
        told = "; ".join(f"{name} (for {_named(names)})" for name, names in sorted(late.items()))
        raise PlanError(
            "credential.expired",
            f"Expired credentials: {told}. Enter their new secrets and when those expire, or give these "
            "targets another credential, then submit again.",
            [
                {"path": "targets", "message": f"{name} has expired", "targets": names[:50]}
                for name, names in sorted(late.items())
            ],
        )


def _named(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _chosen(workflow: Workflow, query: Query, visible: list[Target]) -> list[Target]:
    chosen = matching(query, visible)
    if not chosen:
        known = ", ".join(sorted(Group.objects.values_list("name", flat=True))[:20]) or "none"
        raise PlanError(
            "targets.none",
            f"No enabled target matches {query.to_text()!r}. Groups there are: {known}.",
            [{"path": "targets", "message": "matches no enabled target"}],
        )
    if out_of_reach := [t.name for t in chosen if t.transport != Target.Transport.SSH]:
        raise PlanError(
            "transport.unsupported",
            f"Only targets behind SSH can be reached yet, not {', '.join(out_of_reach[:10])}.",
            [{"path": "targets", "message": "names targets that are not reached by SSH"}],
        )
    lacking = missing_bodies(workflow, {target.platform for target in chosen})
    if lacking:
        raise PlanError(
            "body.missing",
            "Some targets have no body to run: "
            + ", ".join(f"step {m.step!r} has no {m.kind} body for {m.platform}" for m in lacking),
            [
                {"path": f"steps[{m.step!r}].{m.kind}", "message": f"no body for {m.platform}"}
                for m in lacking
            ],
        )
    return chosen


def blast_radius(plan: Plan) -> dict[str, Any]:
    """What people should see before they approve: where the plan reaches, and its worst case."""
    targets = [frozen.target for frozen in plan.targets]
    usable = Count("targets", filter=Q(targets__enabled=True))
    sizes = dict(Group.objects.annotate(n=usable).values_list("name", "n"))
    locked = set(TargetLock.objects.values_list("run_target__target", flat=True))
    in_group = Counter(group.name for target in targets for group in target.groups.all())
    return {
        "targets": len(targets),
        "by_environment": dict(Counter(target.environment or "none" for target in targets)),
        "by_platform": dict(Counter(target.platform for target in targets)),
        "by_group": {
            name: {"targets": count, "share": round(count / max(sizes[name], 1), 3)}
            for name, count in sorted(in_group.items())
        },
        "without_trusted_key": [t.name for t in targets if not t.trusted_keys()],
        "without_credential": [t.target.name for t in plan.targets if t.credential is None],
        "locked": sorted(target.name for target in targets if target.pk in locked),
        "worst_case": plan.rollout.worst_case,
    }
