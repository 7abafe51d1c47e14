"""A workflow in a file, from the command line: read as the portal reads it, refused with its lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from automation.models import JobRun
from tests.commandline.conftest import SetUp, Type
from tests.commandline.test_commands import looking, web

__all__ = ["looking", "web"]

WRONG = """\
name: wrong
steps:
  - name: look
    effect: reed
    run: {bash: 'true'}
  - name: change
    retri: {attempts: 2}
    run: {bash: 'true'}
"""


def test_mistakes_in_a_file_are_told_with_their_lines_and_the_nearest_words(
    web: None, environment: SetUp, type_in: Type, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG)
    refused = type_in(environment("operator"), "run", str(tmp_path / "wrong.yaml"), "-t", "all")
    assert refused.code == 4
    first, second, following = refused.err.splitlines()
    assert first.startswith("error: wrong.yaml, line 4: steps[0].effect: ")
    assert "wrong.yaml, line 7: steps[1].retri: unknown key; did you mean 'retry'?" in second
    assert following.startswith("next:")
    assert not JobRun.objects.exists()


def test_a_word_is_text_as_it_is_for_the_portal(
    web: None, environment: SetUp, type_in: Type, tmp_path: Path
) -> None:
    """YAML 1.1 would make a truth value of `yes`, and a number of `1:30`."""
    path = tmp_path / "words.yaml"
    path.write_text(
        "name: words\nparameters:\n"
        "  answer: {type: string, default: yes}\n  at: {type: string, default: 1:30}\n"
        "steps:\n  - {name: look, effect: read, run: {bash: 'true'}}\n"
    )
    made = type_in(environment("operator"), "run", str(path), "-t", "name:web1", "--no-wait")
    assert made.code == 0, made.err
    assert '"answer":"yes","at":"1:30"' in JobRun.objects.get().header


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", "broken.yaml, line 1: not readable as YAML"),
        ("- 1\n", "holds no workflow"),
        ("name: a\nname: b\n", "broken.yaml, line 2: name: the key 'name' stands here twice"),
    ],
)
def test_a_file_that_is_no_workflow_is_not_sent(
    environment: SetUp, type_in: Type, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    refused = type_in(environment("operator"), "run", str(tmp_path / "broken.yaml"), "-t", "all")
    assert (refused.code, said in refused.err) == (4, True), refused.err
