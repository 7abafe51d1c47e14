"""Commands as an administrator types them."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.management import call_command

from tests.api.conftest import clients as clients
from tests.api.conftest import make_target as make_target
from tests.api.conftest import people as people
from tests.api.conftest import submit_as as submit_as
from tests.api.conftest import web as web

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(db: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Gives what a command writes to stdout and stderr."""

    def call(*words: str, stdin: str = "") -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        call_command(*words, stdout=out, stderr=err)
        return out.getvalue(), err.getvalue()

    return call
