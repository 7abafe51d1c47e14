"""Submission over HTTP, as a careful client does it: the same key again until there is an answer."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.acceptance.chaos.workload import Submission

BUSY = 409
SERVER_ERROR = 500


class Rejected(Exception):
    """The API refused what the harness asked for: a mistake of the harness or of the product."""


class Client:
    """Talks to one portal as one person."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    def submit(self, wanted: Submission) -> bool:
        """Try once; True when the run is accepted. Its answer may be lost: then the same key comes again."""
        wanted.tries += 1
        answer = self._post("/api/v1/runs/", wanted.body(), key=wanted.label)
        if answer is None:
            return False
        wanted.run = int(answer["id"])
        return True

    def cancel(self, run: int) -> bool:
        """Whether the wish arrived, or came too late to be one."""
        return self._post(f"/api/v1/runs/{run}/cancel/", {"reason": "chaos"}, late_is_fine=True) is not None

    def _post(
        self, path: str, body: dict[str, Any], *, key: str | None = None, late_is_fine: bool = False
    ) -> dict[str, Any] | None:
        headers = {
            "Host": "localhost",
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
        }
        if key is not None:
            headers["Idempotency-Key"] = key
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=6)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if response.status in (http.HTTPStatus.OK, http.HTTPStatus.CREATED):
            answer: dict[str, Any] = json.loads(text)
            return answer
        if response.status >= SERVER_ERROR or (response.status == BUSY and not late_is_fine):
            return None
        if late_is_fine and response.status == BUSY:
            return {}
        raise Rejected(f"{path}: {response.status} {text[:2000]!r}")
