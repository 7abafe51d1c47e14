"""The default policy, and how policies decide."""

from pathlib import Path

import pytest

from automation.policy.rules import Facts, Policy, load_policy


def decide(tier: str, author: str, *environments: str, targets: int = 3) -> int:
    facts = Facts(tier, author, frozenset(environments), targets)  # type: ignore[arg-type]
    return load_policy().decide(facts).approvals


@pytest.mark.parametrize(
    ("tier", "author", "environment", "approvals"),
    [
        ("read", "person", "prod", 0),
        ("read", "service", "prod", 0),
        ("read", "ai", "staging", 1),
        ("change", "person", "staging", 0),
        ("change", "person", "prod", 1),
        ("change", "person", "production", 1),
        ("change", "service", "staging", 1),
        ("change", "ai", "staging", 1),
        ("change", "ai", "prod", 1),
        ("destructive", "person", "staging", 1),
        ("destructive", "person", "prod", 2),
        ("destructive", "ai", "prod", 2),
    ],
)
def test_the_default_policy_asks_for(tier: str, author: str, environment: str, approvals: int) -> None:
    assert decide(tier, author, environment) == approvals


def test_one_production_target_among_others_counts() -> None:
    assert decide("change", "person", "staging", "prod") == 1


def test_what_no_rule_speaks_of_needs_an_approval() -> None:
    assert Policy(rules=()).decide(Facts("read", "person", frozenset(), 1)).approvals == 1


def test_a_denial_beats_everything(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        "rules: [{name: all, approvals: 0}, {name: never, when: {targets_over: 2}, deny: too many}]"
    )
    policy = load_policy(file)
    assert policy.decide(Facts("read", "person", frozenset(), 3)).denied == "too many"
    assert policy.decide(Facts("read", "person", frozenset(), 2)).denied == ""


def test_an_unknown_condition_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules: [{name: x, when: {teir: [read]}}]")
    with pytest.raises(ValueError, match="teir"):
        load_policy(file)


def test_an_edited_policy_has_another_version(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("rules: [{name: x}]")
    assert load_policy(file).version != load_policy().version
