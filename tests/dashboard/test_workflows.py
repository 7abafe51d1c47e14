"""The pages of workflows, and the form that starts a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from automation.definitions.schema import load_workflow
from automation.models import HostKey, JobRun, Target, Workflow, WorkflowVersion
from tests.api.conftest import HOST_KEY

HOSTILE = "<img src=x onerror=alert(1)>"
PATCH = """\
name: patch
summary: Update one package
targets: group:web
parameters:
  package: {type: string, pattern: "^[a-z]+$", label: Package}
  times: {type: integer, min: 1, max: 5, default: 2}
  mode: {type: enum, choices: [fast, careful]}
  force: {type: boolean, required: false}
  hosts: {type: list, required: false}
rollout: {canary: 1, batches: [50%, 100%], max_failures: 10%}
steps:
  - name: look
    effect: read
    run: {bash: 'uptime'}
  - name: update
    become: true
    run: {bash: 'true'}
    verify: {bash: 'true'}
"""
FILLED = {
    "targets": "group:web",
    "parameter-package": "nginx",
    "parameter-times": "3",
    "parameter-mode": "fast",
    "parameter-force": "true",
    "parameter-hosts": "a\r\nb\r\n",
    "hold": "1",
    "reason": "because",
}
Enter = Callable[[str], Client]


@pytest.fixture
def enter(people: dict[str, User]) -> Enter:
    def entered(role: str) -> Client:
        client = Client()
        client.force_login(people[role])
        return client

    return entered


def publish(text: str, author: User | None = None) -> WorkflowVersion:
    return Workflow.objects.publish(load_workflow(text).canonical(), text=text, author=author)


@pytest.fixture
def patch(web: list[Target], people: dict[str, User]) -> WorkflowVersion:
    del web
    return publish(PATCH, people["admin"])


def post(client: Client, **changes: str) -> Any:
    return client.post(reverse("workflow-run", args=["patch"]), FILLED | changes)


@pytest.mark.usefixtures("patch")
def test_the_list_shows_what_each_workflow_does(enter: Enter) -> None:
    body = enter("viewer").get(reverse("workflows")).content.decode()
    assert "Update one package" in body
    assert 'data-state="change"' in body


@pytest.mark.usefixtures("patch")
def test_the_list_takes_a_fixed_number_of_queries(
    enter: Enter, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    operator, counts = enter("operator"), []
    for numbers in (range(3), range(3, 30)):
        for number in numbers:
            publish(PATCH.replace("name: patch", f"name: patch-{number}"))
            operator.post(reverse("workflow-run", args=[f"patch-{number}"]), FILLED)
        with django_assert_max_num_queries(20) as counted:
            operator.get(reverse("workflows"))
        counts.append(len(counted.captured_queries))
    assert JobRun.objects.count() == 30
    assert counts[0] == counts[1]


def test_each_version_has_its_own_page_and_text(enter: Enter, patch: WorkflowVersion) -> None:
    publish(PATCH.replace("Update one package", "Update it"))
    viewer = enter("viewer")
    newest = viewer.get(reverse("workflow", args=["patch"])).content.decode()
    first = viewer.get(reverse("workflow-version", args=["patch", 1])).content.decode()
    assert "summary: Update it" in newest
    assert "summary: Update one package" in first
    assert "This is an older version" in first
    file = viewer.get(reverse("workflow-yaml", args=["patch", 1]))
    assert file.content.decode() == patch.text
    assert file.headers["Content-Type"].startswith("text/plain")
    assert viewer.get(reverse("workflow-version", args=["patch", 9])).status_code == 404


def test_a_definition_that_came_as_json_is_shown_as_yaml(enter: Enter) -> None:
    definition = load_workflow(PATCH).canonical()
    Workflow.objects.publish(definition, text='{"name":"patch"}', author=None)
    shown = enter("viewer").get(reverse("workflow-yaml", args=["patch", 1])).content.decode()
    assert load_workflow(shown).canonical() == definition


@pytest.mark.usefixtures("patch")
def test_the_form_is_made_from_the_parameters(enter: Enter) -> None:
    body = enter("operator").get(reverse("workflow-run", args=["patch"])).content.decode()
    assert 'name="parameter-package"' in body
    assert 'name="parameter-times" value="2"' in body
    assert '<option value="careful">careful</option>' in body
    assert '<textarea class="form-control font-monospace" id="parameter-hosts"' in body
    assert "must match ^[a-z]+$" in body
    assert 'name="targets" value="group:web"' in body
    assert 'name="hold" value="1" checked' in body


def test_what_was_filled_in_becomes_a_held_run(
    enter: Enter, patch: WorkflowVersion, people: dict[str, User]
) -> None:
    answer = post(enter("operator"))
    run = JobRun.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("run", args=[run.pk]))
    assert (run.status, run.submitted_by, run.workflow_version) == ("held", people["operator"], patch)
    assert (run.reason, run.dry_run, run.author_kind) == ("because", False, "person")
    values = '"parameters":{"force":true,"hosts":["a","b"],"mode":"fast","package":"nginx","times":3}'
    assert values in run.header


def test_a_run_without_hold_waits_for_the_approval_it_needs(enter: Enter, patch: WorkflowVersion) -> None:
    del patch
    post(enter("operator"), hold="")
    assert JobRun.objects.get().status == "awaiting_approval"


@pytest.mark.usefixtures("patch")
def test_a_dry_run_can_be_asked_for(enter: Enter) -> None:
    post(enter("operator"), dry_run="1")
    assert JobRun.objects.get().dry_run


def test_an_older_version_can_be_run(enter: Enter, patch: WorkflowVersion) -> None:
    publish(PATCH.replace("Update one package", "Update it"))
    post(enter("operator"), version="1")
    assert JobRun.objects.get().workflow_version == patch


@pytest.mark.usefixtures("patch")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"parameter-package": "NGINX 2"}, "This must match ^[a-z]+$."),
        ({"parameter-package": ""}, "This must not be empty."),
        ({"parameter-times": "9"}, "This must be at most 5."),
        ({"parameter-mode": ""}, "This is required."),
        ({"parameter-mode": "slow"}, "This must be one of fast, careful."),
        ({"targets": "groop:web"}, "Column 1: no field &#x27;groop&#x27;; did you mean group:?."),
        ({"targets": "name:nobody"}, "No enabled target matches"),
        ({"targets": ""}, "the query is empty"),
        ({"reason": "x" * 2001}, "The reason has at most 2000 characters."),
    ],
)
def test_what_is_wrong_is_told_at_its_place_and_nothing_typed_is_lost(
    enter: Enter, wrong: dict[str, str], told: str
) -> None:
    answer = post(enter("operator"), **wrong)
    body = answer.content.decode()
    assert answer.status_code == 422
    assert told in body
    kept = FILLED | wrong
    assert f'value="{kept["targets"]}"' in body
    assert f'name="parameter-times" value="{kept["parameter-times"]}"' in body
    assert not JobRun.objects.exists()


@pytest.mark.usefixtures("patch")
def test_every_wrong_field_is_told_at_once(enter: Enter) -> None:
    body = post(enter("operator"), **{"parameter-package": "!", "parameter-times": "x"}).content.decode()
    assert "This must match" in body
    assert "This must be a whole number." in body


@pytest.mark.usefixtures("patch")
def test_the_preview_names_the_targets_and_keeps_the_form(enter: Enter, web: list[Target]) -> None:
    HostKey.objects.saw(web[0], "ssh-ed25519", HOST_KEY, HostKey.State.PENDING).trust(by=None)
    Target.objects.filter(name="web3").update(enabled=False)
    operator = enter("operator")
    body = post(operator, preview="1", reason="kept").content.decode()
    assert "2 targets" in body
    assert "web2: without a trusted host key" in body
    assert "kept</textarea>" in body
    assert not JobRun.objects.exists()
    part = operator.get(reverse("workflow-targets", args=["patch"]), {"targets": "web1"}).content.decode()
    assert "1 target" in part
    assert "web2" not in part
    wrong = operator.get(reverse("workflow-targets", args=["patch"]), {"targets": "groop:x"}).content.decode()
    assert "Column 1" in wrong


@pytest.mark.usefixtures("patch")
@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_who_may_not_submit_sees_why_and_cannot(enter: Enter, role: str) -> None:
    client = enter(role)
    for address in (reverse("workflow", args=["patch"]), reverse("workflow-run", args=["patch"])):
        assert "This needs the role operator or admin" in client.get(address).content.decode()
    assert post(client).status_code == 403
    assert not JobRun.objects.exists()


@pytest.mark.usefixtures("patch")
def test_mallory_and_strangers_get_nothing(enter: Enter, client: Client) -> None:
    addresses = [reverse("workflows"), *(reverse(n, args=["patch"]) for n in ("workflow", "workflow-run"))]
    for address in [*addresses, reverse("workflow-targets", args=["patch"])]:
        assert enter("mallory").get(address).status_code == 403
        assert client.get(address).headers["Location"].startswith(reverse("sign-in"))


def test_hostile_definitions_are_text(enter: Enter, web: list[Target]) -> None:
    del web
    text = PATCH.replace("Update one package", HOSTILE).replace("label: Package", f'label: "{HOSTILE}"')
    publish(text.replace("bash: 'uptime'", f"bash: '{HOSTILE}'"))
    operator = enter("operator")
    for name in ("workflow", "workflow-run"):
        assert "<img" not in operator.get(reverse(name, args=["patch"])).content.decode()
    assert "<img" not in operator.get(reverse("workflows")).content.decode()
    assert "<img" not in post(operator, reason=HOSTILE, targets="name:<img").content.decode()


@pytest.mark.usefixtures("patch")
def test_what_changed_between_versions_has_a_page(enter: Enter) -> None:
    publish(PATCH.replace("Update one package", HOSTILE).replace("bash: 'uptime'", "bash: 'date'"))
    viewer = enter("viewer")
    body = viewer.get(reverse("workflow-diff", args=["patch"])).content.decode()
    assert "steps[&#x27;look&#x27;].run.bash" in body
    assert "<img" not in body
    assert (
        reverse("workflow-diff", args=["patch"])
        in viewer.get(reverse("workflow", args=["patch"])).content.decode()
    )
    same = viewer.get(reverse("workflow-diff", args=["patch"]), {"from": "1", "to": "1"}).content.decode()
    assert "These versions do the same." in same
    assert viewer.get(reverse("workflow-diff", args=["patch"]), {"from": "99"}).status_code == 404
    assert enter("mallory").get(reverse("workflow-diff", args=["patch"])).status_code == 403


SECRETIVE = """\
name: login
targets: group:web
parameters:
  token: {type: secret, min: 8}
  peer: {type: target, required: false}
steps:
  - {name: use, run: {bash: 'true'}}
"""


def test_a_secret_has_a_password_field_and_is_never_shown_again(enter: Enter, web: list[Target]) -> None:
    del web
    publish(SECRETIVE)
    operator, address = enter("operator"), reverse("workflow-run", args=["login"])
    form = operator.get(address).content.decode()
    assert 'type="password" id="parameter-token"' in form
    assert '<option value="web1">' in form
    given = {"targets": "group:web", "hold": "1", "parameter-token": "hunter2-long", "parameter-peer": "wob1"}
    wrong = operator.post(address, given)
    assert wrong.status_code == 422
    assert "There is no target" in wrong.content.decode()
    assert "hunter2-long" not in wrong.content.decode()
    operator.post(address, given | {"parameter-peer": "web1"})
    run = JobRun.objects.get()
    for page in ("run", "run-plan"):
        body = operator.get(reverse(page, args=[run.pk])).content.decode()
        assert "nobody can read it here" in body
        assert "hunter2-long" not in body
    assert "hunter2-long" not in run.header
