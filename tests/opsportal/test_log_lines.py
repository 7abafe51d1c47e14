"""Log lines: one a record, safe in a terminal, without secrets."""

import logging
import sys

import pytest

from opsportal.log_lines import LineFormatter, MaskSecrets


def line(message: str, *args: object, **extra: object) -> str:
    record = logging.LogRecord("automation.workers", logging.INFO, __file__, 1, message, args, None)
    vars(record).update(extra)
    MaskSecrets().filter(record)
    return LineFormatter().format(record)


def test_a_line_has_time_level_logger_message_and_extra() -> None:
    text = line("step %s", "ended", run=12, target="web 1")
    time, rest = text.split(" ", 1)
    assert time.endswith("Z")
    assert rest == 'INFO automation.workers "step ended" run=12 target="web 1"'


def test_control_characters_of_a_target_cannot_reach_the_terminal() -> None:
    text = line("out \x1b[2J\n2026 INFO forged\u202e\x9b", target="a\x07\nb")
    assert text.isprintable()
    assert "\\n2026 INFO forged" in text


@pytest.mark.parametrize("name", ["password", "api_token", "private_key", "Authorization", "become_password"])
def test_extras_named_like_secrets_are_masked(name: str) -> None:
    assert "canary" not in line("x", **{name: "canary"})


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer ops_canary0123456789",
        "token ops_canary0123456789 used",
        "postgresql://user:canary@server/db",
        '{"password": "canary phrase", "user": "x"}',
        "sudo failed, password=canary",
        "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_texts_that_look_like_secrets_are_masked(text: str) -> None:
    assert "canary" not in line("%s", text)
    assert "canary" not in line("x", note=text)


def test_a_traceback_is_one_line_and_masked() -> None:
    try:
        raise ValueError("password=canary")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    MaskSecrets().filter(record)
    text = LineFormatter().format(record)
    assert "ValueError" in text
    assert "canary" not in text
    assert text.isprintable()


def test_a_record_whose_arguments_do_not_fit_is_still_written() -> None:
    assert "its arguments do not fit" in line("%d targets", "many")
