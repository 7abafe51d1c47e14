"""What goes over the wire for a target: where, as whom, and the script with its values."""

from __future__ import annotations

import json
from typing import Any

from automation.definitions.conditions import Condition
from automation.definitions.errors import ConditionError
from automation.definitions.parameters import build_payload, prelude
from automation.forecast import NOT_RUN
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
    phase = b"undo" if attempt.part in ("undo", "verify_undo") else b"run"
    ran = work.ended.get((work.step_index, "run"))
    if phase == b"undo" and ran is not None:
        phase += b" OPSPORTAL_RUN_ATTEMPT=%b" % ran.pk.hex.encode()
    # On the prelude's one line, so that line N of the script stays line N + 1 of the payload.
    return build_payload(b"export OPSPORTAL_PHASE=%b; %b" % (phase, _assignments(work)), script)


def _assignments(work: Work) -> bytes:
    """Secret parameters are shell variables like the others, and only they are not exported."""
    # A parameter nobody gave is empty, unless the target has a variable of that name.
    secrets = {name: secret.reveal() for name, secret in work.secrets.values.items()}
    values = {**dict.fromkeys(work.parameters), **work.leaf["variables"]}
    values.update({name: value for name, value in work.parameters.items() if value is not None})
    values.update(work.sequence.step(work.step_index).values)
    plain = {name: value for name, value in values.items() if name not in secrets}
    return prelude(plain, work.outputs(), secrets=secrets)


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
