"""Freezing: from workflow, query and parameters to the plan that people approve and workers re-check.

Two levels of hash. The header covers what is the same for all targets, a leaf covers one target; the plan
hash covers the header's hash and every leaf's, in order. Stored text is hashed to the byte: nothing is
serialised anew to check it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from automation.belonging import Candidate
from automation.choose import Choice, LeftOut, choose, reasons
from automation.definitions.keyed_secrets import KeyedSecret
from automation.definitions.query import Query
from automation.definitions.rollout import RolloutPlan, plan_rollout
from automation.definitions.schema import Workflow, missing_bodies, read_rollout
from automation.libraries.windows.script import is_taken
from automation.login_fit import misfit
from automation.models import Group, Target, TargetLock
from automation.models.files import StoredFileQuerySet
from automation.plan_steps import plan_steps
from automation.policy.rules import Tier
from automation.repeat import Repeat
from automation.ways import Ways, places, provable
from credentials.models import Credential

# The plan itself names all that are left out.
LEFT_OUT_SHOWN = 50


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
    groups: tuple[str, ...]
    leaf: str
    leaf_hash: str
    unproven: tuple[str, ...] = ()
    """Machines on the way, and the target, that nothing proves to be the ones we mean."""
    credential: Credential | None = None
    expired: tuple[str, ...] = ()
    """Credentials of the target and the bastions on its way whose time is over."""
    unfit: str = ""
    """Why the login method and the credential do not go together, of the target or else of a bastion."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run will do, before it exists."""

    workflow: Workflow
    parameters: dict[str, Any]
    secrets: dict[str, KeyedSecret] = field(repr=False)
    rollout: RolloutPlan
    header: str
    header_hash: str
    plan_hash: str
    targets: tuple[FrozenTarget, ...]
    left_out: tuple[LeftOut, ...] = ()
    group_sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def tier(self) -> Tier:
        return self.workflow.tier

    @property
    def environments(self) -> frozenset[str]:
        return frozenset(t.target.environment.lower() for t in self.targets if t.target.environment)


def freeze(
    workflow: Workflow,
    query: Query,
    *,
    parameters: dict[str, Any],
    rollout: dict[str, Any] | None,
    visible: list[Target],
    files: StoredFileQuerySet | None = None,
    dry_run: bool = False,
    include_maintenance: bool = False,
    policy_version: str = "",
    repeat: Repeat | None = None,
) -> Plan:
    """The plan of `workflow` on those of `visible` that `query` names and that may be worked on now.

    With `repeat` it is on that one's targets, and `query` only tells how they were once found.

    Targets that are disabled are left out, and those in maintenance unless `include_maintenance`; the plan
    says which, and why. Raises PlanError when nothing matches, a target has no body for its platform or a
    credential has expired, ParameterError and DefinitionError when a parameter, a file or a loop is wrong.
    """
    steps = plan_steps(workflow, parameters, visible=visible, files=files)
    workflow = steps.workflow
    choice = choose(repeat or query, visible, include_maintenance=include_maintenance)
    if repeat is not None:
        choice = replace(choice, left_out=(*choice.left_out, *repeat.missing(visible)))
    chosen = choice.chosen
    _check(workflow, query, choice)
    arithmetic = plan_rollout(
        len(chosen),
        read_rollout(rollout) if rollout is not None else workflow.rollout,
        tier="read" if dry_run else workflow.tier,
    )
    header = canonical(
        {
            "v": 1,
            "workflow": workflow.canonical(),
            **steps.told,
            "rollout": asdict(arithmetic),
            "query": query.to_text(),
            "dry_run": dry_run,
            "include_maintenance": include_maintenance,
            "left_out": [each.as_dict() for each in choice.left_out],
            "policy": policy_version,
        }
        | ({"repeats": repeat.as_dict()} if repeat is not None else {})
    )
    ways = Ways.of([candidate.target for candidate in chosen])
    leaves = tuple(
        freeze_target(
            candidate,
            ways,
            why=reasons(query, candidate) if repeat is None else repeat.reasons(candidate),
            takes_maintenance=include_maintenance,
        )
        for candidate in chosen
    )
    _refuse_expired(leaves)
    header_hash = sha256(header)
    return Plan(
        workflow=workflow,
        parameters=steps.given.values,
        secrets=steps.given.secrets,
        rollout=arithmetic,
        header=header,
        header_hash=header_hash,
        plan_hash=hash_plan(header_hash, [leaf.leaf_hash for leaf in leaves]),
        targets=leaves,
        left_out=choice.left_out,
        group_sizes=choice.group_sizes,
    )


def hash_plan(header_hash: str, leaf_hashes: list[str]) -> str:
    return sha256("\n".join([header_hash, *leaf_hashes]))


def freeze_target(
    candidate: Candidate, ways: Ways, *, why: list[str], takes_maintenance: bool = False
) -> FrozenTarget:
    """What a worker needs to reach this target and must find unchanged when it does.

    `why` tells people how the target came into the plan. Raises PlanError where the way leads in a circle.
    """
    target = candidate.target
    try:
        place = ways.place(target) | {"via": ways.via(target)}
    except ValueError as error:
        raise PlanError(
            "target.way",
            f"{error} Give one of them another bastion.",
            [{"path": "targets", "message": str(error)}],
        ) from None
    leaf = canonical(
        place
        | {
            "platform": target.platform,
            "transport": target.transport,
            "environment": target.environment,
            "zone": target.zone,
            "groups": list(candidate.groups),
            "why": why,
            "takes_maintenance": takes_maintenance,
            "tags": sorted(target.tags),
            "variables": candidate.variables,
        }
    )
    credentials = ways.credentials(target)
    return FrozenTarget(
        target=target,
        groups=candidate.groups,
        leaf=leaf,
        leaf_hash=sha256(leaf),
        unproven=tuple(each["name"] for each in places(place) if not provable(each)),
        credential=credentials[0],
        expired=tuple(sorted({each.name for each in credentials if each is not None and each.expired})),
        unfit=_unfit(place, credentials),
    )


def _unfit(place: dict[str, Any], credentials: list[Credential | None]) -> str:
    own, *hops = places(place)
    if found := misfit(own, credentials[0]):
        return found
    # The way lists the first bastion first, the credentials the nearest one.
    met = (
        (hop["name"], misfit(hop, each)) for hop, each in zip(reversed(hops), credentials[1:], strict=True)
    )
    return next((f"On the way, at bastion {name}: {why}" for name, why in met if why), "")


def _refuse_expired(targets: tuple[FrozenTarget, ...]) -> None:
    late: dict[str, list[str]] = {}
    for frozen in targets:
        for name in frozen.expired:
            late.setdefault(name, []).append(frozen.target.name)
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


def _check(workflow: Workflow, query: Query, choice: Choice) -> None:
    chosen = choice.targets
    if not chosen and choice.left_out:
        raise PlanError(
            "targets.left_out", _all_left_out(choice), [each.as_dict() for each in choice.left_out]
        )
    if not chosen:
        known = ", ".join(sorted(Group.objects.values_list("name", flat=True))[:20]) or "none"
        raise PlanError(
            "targets.none",
            f"No enabled target matches {query.to_text()!r}. Groups there are: {known}.",
            [{"path": "targets", "message": "matches no enabled target"}],
        )
    if out_of_reach := [t.name for t in chosen if t.speaks_winrm != (t.platform == Target.Platform.WINDOWS)]:
        raise PlanError(
            "transport.unsupported",
            "Windows targets are reached over winrm and all others over ssh. "
            f"Correct the transport of {', '.join(out_of_reach[:10])}.",
            [{"path": "targets", "message": "names targets whose transport does not fit their platform"}],
        )
    _check_names(workflow, choice)
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


def _check_names(workflow: Workflow, choice: Choice) -> None:
    """Some names that bash allows are PowerShell's own."""
    windows = [candidate for candidate in choice.chosen if candidate.target.speaks_winrm]
    names = {name for candidate in windows for name in candidate.variables}
    names |= set(workflow.parameters) if windows else set()
    if taken := sorted(name for name in names if is_taken(name)):
        raise PlanError(
            "parameter.name",
            f"On Windows targets no parameter or variable can be named {', '.join(taken[:5])}: "
            "PowerShell needs the name itself. Give it another name.",
            [{"path": f"parameters.{name}", "message": "is PowerShell's own name"} for name in taken],
        )


def _all_left_out(choice: Choice) -> str:
    shown = ", ".join(f"{each.name} ({each.why})" for each in choice.left_out[:5])
    more = f" and {len(choice.left_out) - 5} more" if len(choice.left_out) > 5 else ""
    waits = any(each.code == "target.maintenance" for each in choice.left_out)
    hint = " To work on targets in maintenance, say so with include_maintenance." if waits else ""
    return f"Every target that matches is left out: {shown}{more}.{hint}"


def _without_key(plan: Plan) -> list[str]:
    """Targets that end blocked because they, or a bastion on the way, cannot prove who they are."""
    return [
        frozen.target.name
        if frozen.unproven[0] == frozen.target.name
        else f"{frozen.target.name} (behind {frozen.unproven[0]})"
        for frozen in plan.targets
        if frozen.unproven
    ]


def _without_fit(plan: Plan) -> list[dict[str, Any]]:
    """Targets that end blocked because the credential is for another login method; many share a reason."""
    found: dict[str, list[str]] = {}
    for frozen in plan.targets:
        if frozen.unfit:
            found.setdefault(frozen.unfit, []).append(frozen.target.name)
    return [{"message": why, "targets": names} for why, names in found.items()]


def blast_radius(plan: Plan) -> dict[str, Any]:
    """What people should see before they approve: where the plan reaches, and its worst case."""
    targets = [frozen.target for frozen in plan.targets]
    locked = set(TargetLock.objects.values_list("run_target__target", flat=True))
    in_group = Counter(name for frozen in plan.targets for name in frozen.groups)
    return {
        "targets": len(targets),
        "by_environment": dict(Counter(target.environment or "none" for target in targets)),
        "by_platform": dict(Counter(target.platform for target in targets)),
        "by_group": {
            name: {"targets": count, "share": round(count / max(plan.group_sizes.get(name, 0), 1), 3)}
            for name, count in sorted(in_group.items())
        },
        "without_trusted_key": _without_key(plan),
        "without_credential": [t.target.name for t in plan.targets if t.credential is None],
        "unfit_credential": _without_fit(plan),
        "locked": sorted(target.name for target in targets if target.pk in locked),
        "left_out": [each.as_dict() for each in plan.left_out[:LEFT_OUT_SHOWN]],
        "left_out_count": len(plan.left_out),
        "worst_case": plan.rollout.worst_case,
    }
