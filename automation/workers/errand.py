"""What goes over the wire for a target: where, as whom, and the script with its values."""

from __future__ import annotations

import json
from typing import Any

from automation.definitions.conditions import Condition
from automation.definitions.errors import ConditionError
from automation.definitions.parameters import build_payload, powershell_values, prelude
from automation.forecast import NOT_RUN
from automation.libraries.windows.script import pack_script
from automation.models import Attempt, ResultState
from automation.workers.settle import Verdict
from automation.workers.work import Work


def payload_of(work: Work, attempt: Attempt) -> bytes:
    """The body's script after its variables, as data: values never become part of the script's text.

    `OPSPORTAL_PHASE` is `undo` in an undo and in the verify after it, else `run`; in an undo
    `OPSPORTAL_RUN_ATTEMPT` names the attempt it is for.
    """
    script = work.sequence.script(work.step_index, attempt.body)
    if script is None:
        raise ValueError(f"step {work.step_index} has no {attempt.body} body for {work.leaf['platform']}")
    known = _environment(work, attempt)
    secrets = {name: secret.reveal() for name, secret in work.secrets.values.items()}
    if "winrm" in work.leaf:
        given = powershell_values(_values(work), work.outputs(), secrets=secrets)
        return pack_script(script, given, environment=known)
    # Only secret ones are not exported.
    plain = {name: value for name, value in _values(work).items() if name not in secrets}
    exports = b"export " + b" ".join(b"%b=%b" % (n.encode(), v.encode()) for n, v in known.items()) + b"; "
    # On the prelude's one line, so that line N of the script stays line N + 1 of the payload.
    return build_payload(exports + prelude(plain, work.outputs(), secrets=secrets), script)


def _environment(work: Work, attempt: Attempt) -> dict[str, str]:
    """What a script may know of its own place in the run."""
    undo = attempt.part in ("undo", "verify_undo")
    ran = work.ended.get((work.step_index, "run"))
    known = {"OPSPORTAL_PHASE": "undo" if undo else "run"}
    return known | {"OPSPORTAL_RUN_ATTEMPT": ran.pk.hex} if undo and ran is not None else known


def _values(work: Work) -> dict[str, Any]:
    """Variables of the target, then the run's parameters, then those of the step at hand."""
    # A parameter nobody gave is empty, unless the target has a variable of that name.
    values = {**dict.fromkeys(work.parameters), **work.leaf["variables"]}
    values.update({name: value for name, value in work.parameters.items() if value is not None})
    values.update(work.sequence.step(work.step_index).values)
    return values


def condition_holds(work: Work) -> Verdict | None:
    """None when the step's `when` is true or absent, else how the step ends without being sent."""
    text = work.sequence.step(work.step_index).when
    if text is None:
        return None
    try:
        holds = Condition(text).evaluate(context_of(work))
    except ConditionError as error:
        if work.sequence.dry_run:
            # It may look at outputs of a step that a dry run only checks.
            why = f"Whether it would run is not known in a dry run: {error}"
            return Verdict(ResultState.SKIPPED, NOT_RUN, why)
        return Verdict(ResultState.FAILED, "condition.invalid", str(error))
    return None if holds else Verdict(ResultState.SKIPPED, "condition.false", f"Not so: {text}")


def context_of(work: Work) -> dict[str, Any]:
    """What a condition may look at."""
    leaf = work.leaf
    steps = {
        result.step: {
            "state": str(result.state),
            "outputs": json.loads(json.dumps(result.outputs)),
            "exit_code": result.exit_code,
        }
        for result in work.results[: work.step_index]
    }
    keys = ("name", "platform", "environment", "zone", "groups", "tags")
    return {
        "steps": steps,
        "parameters": {**work.parameters, **work.sequence.step(work.step_index).values},
        "variables": leaf["variables"],
        "target": {key: leaf[key] for key in keys},
    }
