import pytest

from automation.definitions.names import check_name

REFUSED = """
PATH path Path IFS ifs ENV env BASH_ENV bash_env HOME home SHELLOPTS LD_PRELOAD ld_preload
LD_LIBRARY_PATH DYLD_INSERT_LIBRARIES PYTHONPATH pythonstartup NODE_OPTIONS PERL5OPT RUBYOPT PSModulePath
BASH_FUNC_x OPSPORTAL_OUTPUT opsportal_phase OUTPUT_version output_version PROMPT_COMMAND GIT_SSH_COMMAND
histchars host true null args pid input error matches
"""

MALFORMED = [
    "",
    "A",
    "1a",
    "_a",
    "a-b",
    "a b",
    "a.b",
    "a=b",
    "a\n",
    "ä",
    "a" * 65,
    "a;b",
    "$(x)",
    "a[0]",
    "-a",
]


@pytest.mark.parametrize("name", REFUSED.split())
def test_a_name_that_changes_a_shell_or_interpreter_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ValueError, match=r"is refused: it (would change|belongs to)"):
        check_name(name)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be a lower-case letter"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["a", "package", "web_port_2", "a" * 64, "user", "http_proxy", "pathname", "envoy"]
)
def test_an_ordinary_name_is_given_back(name: str) -> None:
    assert check_name(name) == name
