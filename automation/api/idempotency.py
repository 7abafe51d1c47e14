"""One key, one run: an answer is stored in the transaction of the work it answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from automation.api.authentication import principal
from automation.api.problems import Problem
from automation.models import AnsweredRequest
from automation.plan import canonical

MAX_KEY = 200
T = TypeVar("T")


def once(
    request: Request,
    *,
    prepare: Callable[[], T],
    work: Callable[[T], dict[str, Any]],
    about: str = "",
) -> Response:
    """The answer to `work`, done at most once for the user's `Idempotency-Key`; 201, or 200 for a replay.

    `prepare` only reads and may be done in vain; `work` gets what it gives. Raises Problem 409 when the key
    was used with another body, or `about` something else. What fails leaves the key unused.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return Response(work(prepare()), status=201)
    _check(key)
    body_hash = _digest(about + canonical(request.data))
    if (answered := _answered(request, key)) is not None:
        return _replay(answered, body_hash)
    prepared = prepare()
    with transaction.atomic():
        row = _reserved(request, key, body_hash)
        if row is not None:
            row.body = json.loads(json.dumps(work(prepared), cls=JSONEncoder))
            row.save(update_fields=["body"])
            return Response(row.body, status=201)
    answered = _answered(request, key)
    if answered is None:
        raise Problem(
            "Another request with this key is just being answered. Send it again.",
            code="idempotency.busy",
            status=409,
        )
    return _replay(answered, body_hash)


def _check(key: str) -> None:
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise Problem(
            f"An Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters.", code="idempotency.key"
        )


def _digest(body: str) -> str:
    """Keyed, for the body may hold secrets, and what is stored must not let anybody try them out."""
    return salted_hmac("automation.idempotency", body, algorithm="sha256").hexdigest()


def _answered(request: Request, key: str) -> AnsweredRequest | None:
    return AnsweredRequest.objects.filter(user=principal(request), key=key).first()


def _reserved(request: Request, key: str, body_hash: str) -> AnsweredRequest | None:
    """The row for this key, ours until the transaction ends; None when another request was first.

    Taken before the work: where writers run side by side, the second one waits here for the first one's end.
    """
    try:
        with transaction.atomic():
            return AnsweredRequest.objects.create(
                user=principal(request), key=key, body_hash=body_hash, status=201, body={}
            )
    except IntegrityError:
        return None


def _replay(answered: AnsweredRequest, body_hash: str) -> Response:
    if answered.body_hash != body_hash:
        raise Problem(
            "This Idempotency-Key was used for another request. Use a new key for a new request.",
            code="idempotency.mismatch",
            status=409,
        )
    return Response(answered.body, status=200)
