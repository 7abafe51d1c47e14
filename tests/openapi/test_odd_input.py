"""Odd input to every operation of the document: never a 500."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from rest_framework.test import APIClient
from schemathesis import Case, GenerationMode

from opsportal.openapi.document import document
from tests.api.conftest import bearer, clients, make_target, people, submit_as, token_text, web
from tests.openapi.test_document import fill

__all__ = ["clients", "make_target", "people", "submit_as", "web"]
# More by hand: OPSPORTAL_ODD_INPUTS=200 python -m pytest tests/openapi/test_odd_input.py
EXAMPLES = int(os.environ.get("OPSPORTAL_ODD_INPUTS", "2"))
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def sent(client: Any, case: Case[Any]) -> Any:
    """The answer of Django's own test client, whose requests stay inside the test's transaction."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    # Who asks is always the administrator: a stranger would come no further than the door.
    given = {"content-length", "authorization", "cookie"}
    headers = {key: value for key, value in prepared.headers.items() if key.lower() not in given}
    kind = headers.pop("Content-Type", "application/octet-stream")
    body = prepared.body if isinstance(prepared.body, bytes) else (prepared.body or "").encode()
    return client.generic(
        case.method,
        urlsplit(str(prepared.url)).path,
        body,
        content_type=kind,
        headers=headers,
        query_string=urlsplit(str(prepared.url)).query,
    )


def odd_inputs(operation: Any, mode: GenerationMode, client: APIClient) -> list[str]:
    """What broke us: the input and the answer's status."""
    broken: list[str] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        answer = sent(client, case)
        if answer.status_code >= 500:
            broken.append(f"{answer.status_code} {case.as_curl_command()} {answer.content[:300]!r}")

    ask()
    return broken


def test_no_input_breaks_us(clients: Any, people: Any, submit_as: Any) -> None:
    fill(clients["admin"], submit_as)
    schema = schemathesis.openapi.from_dict(document())
    client = bearer(token_text(people["admin"]))
    client.raise_request_exception = False
    asked, broken = 0, []
    for found in schema.get_all_operations():
        for mode in MODES:
            asked += 1
            operation: Any = found
            with transaction.atomic():  # each operation finds everything as it was
                broken += odd_inputs(operation.ok(), mode, client)
                transaction.set_rollback(True)
    assert asked == len(MODES) * sum(len(entry) for entry in document()["paths"].values())
    assert not broken, "\n".join(broken)
