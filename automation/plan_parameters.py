"""What a plan makes of the parameters of a run: values to show, secrets told by digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from automation.definitions.errors import ParameterError, ParameterFinding, did_you_mean
from automation.definitions.keyed_secrets import KeyedSecret
from automation.definitions.parameter_types import ADDRESS_SUFFIX
from automation.definitions.parameters import check_parameters
from automation.definitions.schema import Workflow
from automation.models import Target


@dataclass(frozen=True, slots=True)
class FrozenParameters:
    """`values` are part of the plan's text; of `secrets` only the digests are."""

    values: dict[str, Any]
    secrets: dict[str, KeyedSecret] = field(repr=False)

    def digests(self) -> dict[str, str]:
        return {name: secret.digest(name) for name, secret in self.secrets.items()}


def freeze_parameters(
    workflow: Workflow, given: Mapping[str, object], *, visible: Sequence[Target]
) -> FrozenParameters:
    """The typed values. A target's name must be one of `visible`; its address is frozen beside it.

    Raises ParameterError with everything that is wrong.
    """
    values: dict[str, Any] = dict(check_parameters(workflow, given))
    secrets = {}
    for name, parameter in workflow.parameters.items():
        if parameter.is_secret:
            text = values.pop(name)
            if text is not None:
                secrets[name] = KeyedSecret.of(text)
        elif parameter.type == "target":
            values |= _target(name, values[name], visible)
    return FrozenParameters(values, secrets)


def _target(name: str, wanted: str | None, visible: Sequence[Target]) -> dict[str, Any]:
    if wanted is None:
        return {name: None, name + ADDRESS_SUFFIX: None}
    found = next((target for target in visible if target.name == wanted), None)
    if found is None:
        near = did_you_mean(wanted, [target.name for target in visible][:1000])
        message = f"there is no target {wanted!r} that you may use{near[:200]}"
        raise ParameterError([ParameterFinding(path=f"parameters.{name}", message=message)])
    return {name: found.name, name + ADDRESS_SUFFIX: found.address}
