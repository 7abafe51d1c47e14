"""Settings from the environment: typed, and errors that help."""

from datetime import timedelta
from pathlib import Path

import pytest

from opsportal.env_readers import EnvReader, SettingError


def test_an_empty_variable_counts_as_not_set() -> None:
    env = EnvReader({"PORT": " "})
    assert env.integer("PORT", 8000) == 8000
    assert env.text("PORT", "x") == "x"
    assert env.boolean("PORT", default=True) is True


@pytest.mark.parametrize("value", ["abc", "0", "70000", "1.5"])
def test_a_bad_number_names_variable_value_and_fix(value: str) -> None:
    with pytest.raises(
        SettingError, match=rf"PORT is '?{value}'?: give it .* at most 65535, or unset it for 8000"
    ):
        EnvReader({"PORT": value}).integer("PORT", 8000, at_least=1, at_most=65535)


def test_booleans_are_words_and_nothing_else() -> None:
    env = EnvReader({"A": "Yes", "B": "off", "C": "maybe"})
    assert env.boolean("A", default=False) is True
    assert env.boolean("B", default=True) is False
    with pytest.raises(SettingError, match="C is 'maybe': write `true` or `false`"):
        env.boolean("C", default=True)


def test_lists_leave_out_empty_items() -> None:
    assert EnvReader({"HOSTS": "a, b,,"}).words("HOSTS") == ["a", "b"]
    assert EnvReader({}).words("HOSTS", ("c",)) == ["c"]


def test_a_choice_defaults_to_the_first_and_names_the_allowed_words() -> None:
    assert EnvReader({}).choice("ROLE", ("all", "ai")) == "all"
    with pytest.raises(SettingError, match="write one of all, ai"):
        EnvReader({"ROLE": "web"}).choice("ROLE", ("all", "ai"))


def test_durations_have_units() -> None:
    assert EnvReader({"T": "90s"}).duration("T", timedelta()) == timedelta(seconds=90)
    with pytest.raises(SettingError, match="30s, 15m, 2h or 7d"):
        EnvReader({"T": "90"}).duration("T", timedelta())


def test_paths_are_absolute(tmp_path: Path) -> None:
    assert EnvReader({"DATA": "~/x"}).path("DATA", tmp_path) == Path.home() / "x"
    assert EnvReader({}).path("DATA", tmp_path) == tmp_path


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first\nsecond\n")
    assert EnvReader({"KEYS_FILE": str(file)}).secrets("KEYS") == ["first", "second"]


def test_errors_and_representation_never_show_a_secret(tmp_path: Path) -> None:
    env = EnvReader({"KEY": "canary-secret", "KEY_FILE": str(tmp_path / "missing")})
    with pytest.raises(SettingError, match="both set") as error:
        env.secret("KEY")
    assert "canary-secret" not in f"{error.value} {env!r}"


def test_a_secret_file_that_is_missing_or_empty_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        EnvReader({"KEY_FILE": str(tmp_path / "missing")}).secret("KEY")
    (tmp_path / "empty").touch()
    with pytest.raises(SettingError, match="which is empty"):
        EnvReader({"KEY_FILE": str(tmp_path / "empty")}).secret("KEY")
