"""What changed from one version to the next."""

from __future__ import annotations

from automation.definitions.differing import changes_between
from automation.definitions.schema import load_workflow
from tests.definitions.samples import UPDATE_PACKAGE


def between(before: str, after: str) -> list[tuple[str, str]]:
    changes = changes_between(load_workflow(before).canonical(), load_workflow(after).canonical())
    return [(change.kind, change.path) for change in changes]


def test_equal_definitions_have_no_changes() -> None:
    assert between(UPDATE_PACKAGE, UPDATE_PACKAGE) == []


def test_each_change_is_told_by_its_path() -> None:
    after = UPDATE_PACKAGE.replace("timeout: 15m", "timeout: 20m").replace("become: true", "become: false")
    after = after.replace("label: Package}", "label: Package, default: nginx}").replace(
        "canary: 1", "canary: 0"
    )
    assert between(UPDATE_PACKAGE, after) == [
        ("added", "parameters.package.default"),
        ("changed", "rollout.canary"),
        ("removed", "steps['update'].become"),
        ("changed", "steps['update'].timeout"),
    ]


def test_a_step_that_moved_is_the_same_step() -> None:
    one, two = "  - {name: a, run: {bash: 'x'}}\n", "  - {name: b, run: {bash: 'y'}}\n"
    head = "name: n\nsteps:\n"
    assert between(head + one + two, head + two + one) == [
        ("moved", "steps['b'].position"),
        ("moved", "steps['a'].position"),
    ]
    assert between(head + one, head + one + two) == [("added", "steps['b']")]
    assert between(head + one + two, head + two) == [
        ("moved", "steps['b'].position"),
        ("removed", "steps['a']"),
    ]


def test_a_definition_of_an_older_language_differs_only_in_what_it_says() -> None:
    now = load_workflow(UPDATE_PACKAGE).canonical()
    old = {**now, "steps": [{k: v for k, v in step.items() if k != "retry"} for step in now["steps"]]}
    assert changes_between(old, now) == []


def test_scripts_are_compared_line_by_line() -> None:
    before = "name: n\nsteps:\n  - name: a\n    run:\n      bash: |\n        one\n        two\n"
    (change,) = changes_between(
        load_workflow(before).canonical(), load_workflow(before.replace("two", "three")).canonical()
    )
    assert change.path == "steps['a'].run.bash"
    assert change.lines == ["@@ -1,2 +1,2 @@", " one", "-two", "+three"]
