"""A Secret is handed on whole and shown never."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from django.core.serializers.json import DjangoJSONEncoder
from django.views.debug import ExceptionReporter
from rest_framework.utils.encoders import JSONEncoder

from credentials.secret import Secret

CANARY = "kanarie-9f3b7c21d8e4"


@dataclasses.dataclass(frozen=True)
class Login:
    username: str
    password: Secret


def test_a_secret_gives_its_text_when_asked() -> None:
    secret = Secret("grüße")
    assert secret.reveal() == "grüße"
    assert secret.reveal_bytes() == "grüße".encode()


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        ascii,
        format,
        lambda s: f"{s}",
        lambda s: f"{s!r:>40}",
        lambda s: f"{s:>3}",
        lambda s: "%s" % s,  # noqa: UP031 -- the old form is what is tried
        lambda s: "%r" % s,  # noqa: UP031
        lambda s: "{0}".format(s),  # noqa: UP030, UP032
        lambda s: pprint.pformat({"a": [s]}),
        lambda s: str(Login("ann", s)),
        lambda s: str(dataclasses.asdict(Login("ann", s))),
        lambda s: str(copy.copy(s)),
        lambda s: str(copy.deepcopy({"a": s})),
        lambda s: json.dumps({"a": s}, default=str),
        lambda s: repr([getattr(s, name) for name in dir(s)]),
        lambda s: repr(s.__dir__()),
    ],
)
def test_every_way_of_showing_gives_a_constant(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(CANARY))
    assert CANARY not in shown
    if "__dir__" not in shown:
        assert show(Secret("another, much longer text")) == shown or "0x" in shown


@pytest.mark.parametrize(
    "dump",
    [
        vars,
        len,
        iter,
        json.dumps,
        pickle.dumps,
        bytes,
        dataclasses.asdict,
        yaml.dump,
        lambda s: s.__dict__,
        lambda s: s.__getstate__(),
        lambda s: s.__reduce__(),
        lambda s: s + "",
        lambda s: "".join([s]),
        lambda s: s[0],
        lambda s: s < s,
        lambda s: "%d" % s,  # noqa: UP031
        lambda s: pickle.dumps({"a": s}, protocol=0),
        lambda s: json.dumps(s, cls=DjangoJSONEncoder),
        lambda s: json.dumps(s, cls=JSONEncoder),
        lambda s: json.dumps(s, default=vars),
        lambda s: setattr(s, "text", "x"),
        lambda s: delattr(s, "_Secret__holder"),
    ],
)
def test_every_way_of_dumping_is_refused_without_showing(dump: Callable[[Secret], Any]) -> None:
    with pytest.raises((TypeError, AttributeError)) as caught:
        dump(Secret(CANARY))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_pickling_says_what_to_do_instead() -> None:
    with pytest.raises(TypeError, match="Pass the id of its credential"):
        pickle.dumps(Secret(CANARY))


def test_logging_at_debug_never_writes_the_text() -> None:
    stream = io.StringIO()
    logger = logging.Logger("canary", logging.DEBUG)
    logger.addHandler(logging.StreamHandler(stream))
    secret = Secret(CANARY)
    logger.debug("login with %s %r", secret, {"password": secret}, extra={"secret": secret})
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("broke")
    assert "<secret>" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_a_traceback_with_locals_never_shows_the_text() -> None:
    def log_in(secret: Secret) -> None:
        login = Login("ann", secret)
        raise RuntimeError(f"refused: {login}")

    try:
        log_in(Secret(CANARY))
    except RuntimeError as error:
        caught = error
    rich = "".join(traceback.TracebackException.from_exception(caught, capture_locals=True).format())
    debug_page = ExceptionReporter(None, RuntimeError, caught, caught.__traceback__).get_traceback_html()
    assert "<secret>" in rich
    assert CANARY not in rich
    assert CANARY not in debug_page


@pytest.mark.parametrize("wrong", [CANARY.encode(), [CANARY], CANARY + "\ud800"])
def test_a_refused_value_is_not_shown_by_the_error(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Secret(wrong)
    inner = caught.value.__traceback__
    assert inner is not None
    assert inner.tb_next is not None
    inner_only = caught.value.with_traceback(inner.tb_next)
    lines = traceback.TracebackException.from_exception(inner_only, capture_locals=True).format()
    assert CANARY not in "".join(lines)
    assert caught.value.__context__ is None


def test_a_copy_is_the_same_object() -> None:
    secret = Secret(CANARY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy(secret) is secret


def test_secrets_are_equal_by_text_and_never_equal_plain_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("ü") == Secret("ü")


def test_hashing_is_in_step_with_equality_and_is_not_the_texts_own_hash() -> None:
    assert {Login("ann", Secret("x")): 1}[Login("ann", Secret("x"))] == 1
    assert hash(Secret(CANARY)) != hash(CANARY)


def test_only_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret(" ")
