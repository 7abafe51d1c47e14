"""Secret parameters: in the script, and nowhere else."""

from __future__ import annotations

import json

from django.core import serializers

from automation.models import Event, JobRun, OutputChunk, RunSecret, StepResult
from credentials.fields import StrictEncryptedTextField
from tests.workers.spine import Spine
from tests.workers.test_reconcile import ask_again, change, lose

VALUE = "hunter2-and-more"
LOGIN = """
    name: login
    parameters: {token: {type: secret}, user: {type: string}}
    steps:
      - name: use
        effect: EFFECT
        run: {bash: 'BODY'}
"""


def login(body: str, *, effect: str = "change") -> str:
    return LOGIN.replace("BODY", body.replace("'", "''")).replace("EFFECT", effect)


def run_it(spine: Spine, text: str) -> JobRun:
    return spine.run(text, parameters={"token": VALUE, "user": "alice"})


def test_a_script_gets_the_value_and_hands_it_to_no_child(spine: Spine) -> None:
    spine.add_targets("a")
    body = f'[ "$token" = {VALUE} ] && ! printenv token && [ "$(printenv user)" = alice ]'
    for effect in ("change", "read"):
        assert spine.states(run_it(spine, login(body, effect=effect))) == {"a": ["succeeded"]}


def test_it_stands_in_no_row_of_the_run(spine: Spine) -> None:
    spine.add_targets("a")
    run = run_it(spine, login('echo "it is $token"; echo "kept=$token" >> "$OPSPORTAL_OUTPUT"'))
    assert run.results.get().outputs == {"kept": "********"}
    assert bytes(OutputChunk.objects.get().data) == b"it is ********\n"
    told = [JobRun.objects.all(), StepResult.objects.all(), Event.objects.all(), run.targets.all()]
    assert all(VALUE not in serializers.serialize("json", rows) for rows in told)


def test_the_plan_names_it_by_a_digest_that_is_another_in_each_run(spine: Spine) -> None:
    spine.add_targets("a")
    given = {"token": VALUE, "user": "alice"}
    runs = [spine.submit(login("true"), parameters=given, hold=True) for _ in range(2)]
    digests = [json.loads(run.header)["secrets"]["token"] for run in runs]
    assert len(set(digests)) == 2
    assert json.loads(runs[0].header)["parameters"] == {"user": "alice"}


def test_it_is_sealed_while_the_run_waits_and_deleted_when_it_is_final(spine: Spine) -> None:
    spine.add_targets("a")
    held = spine.submit(login("true"), parameters={"token": VALUE, "user": "x"}, hold=True)
    assert isinstance(RunSecret._meta.get_field("sealed"), StrictEncryptedTextField)
    assert VALUE not in serializers.serialize("json", RunSecret.objects.filter(run=held))
    run_it(spine, login("true"))
    assert list(RunSecret.objects.values_list("run", flat=True)) == [held.pk]


def test_a_value_that_was_swapped_for_another_runs_is_not_sent(spine: Spine) -> None:
    spine.add_targets("a")
    marker = spine.scratch / "ran"
    run = spine.submit(login(f"touch {marker}"), parameters={"token": VALUE, "user": "x"})
    other = spine.submit(login("true"), parameters={"token": "another one", "user": "x"}, hold=True)
    RunSecret.objects.filter(run=run).delete()
    RunSecret.objects.filter(run=other).update(run=run)
    spine.drain()
    result = run.results.get()
    assert (result.state, result.code) == ("blocked", "secret.missing")
    assert not marker.exists()


def test_an_optional_secret_nobody_gave_is_empty(spine: Spine) -> None:
    spine.add_targets("a")
    text = login('[ -z "$token" ]').replace("{type: secret}", "{type: secret, required: false}")
    assert spine.states(spine.run(text, parameters={"user": "x"})) == {"a": ["succeeded"]}
    assert not RunSecret.objects.exists()


def test_what_is_found_out_after_the_run_is_kept_without_its_output(spine: Spine) -> None:
    spine.add_targets("a")
    text = change(spine, 'echo "$token"').replace("steps:", "parameters: {token: {type: secret}}\n    steps:")
    run = spine.run(text, parameters={"token": VALUE})
    attempt = lose(run)
    ask_again(attempt)
    result = run.results.get()
    assert (attempt.state, result.state, result.outputs) == ("ended", "succeeded", {})
    assert not OutputChunk.objects.exists()
    assert any(
        "secrets to mask in it are deleted" in event.data.get("message", "") for event in run.events.all()
    )
