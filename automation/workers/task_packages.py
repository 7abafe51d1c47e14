"""What a queue row says: one task of a fixed list and one number, signed, as JSON.

django-q2 puts signed pickles into its rows, so whoever can write a row and knows the secret key runs code
of his own on every worker. Our rows can at most wake a task that looks at the database for itself.
"""

import zlib
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from django.core import signing

TASKS: Final = frozenset({"advance", "run_shard", "probe", "reconcile", "sweep", "test_target", "look_round"})
SALT: Final = "opsportal.queue"
LONGEST: Final = 500  # characters; a genuine row has about 100


def pack(task: str, number: int) -> str:
    """The payload of a queue row. Raises ValueError for an unknown task or an impossible number."""
    _check(task, number)
    return signing.dumps({"task": task, "number": number}, salt=SALT)


def unpack(payload: str) -> dict[str, Any]:
    """A payload as django-q2's worker wants it. Raises BadSignature for all that `pack` did not make."""
    if len(payload) > LONGEST:
        raise signing.BadSignature("longer than any task of ours")
    try:
        content = signing.loads(payload, salt=SALT)
        if not isinstance(content, dict) or content.keys() != {"task", "number"}:
            raise ValueError("a task has a name and a number")
        task, number = content["task"], content["number"]
        _check(task, number)
    except (ValueError, TypeError, RecursionError, zlib.error) as error:
        raise signing.BadSignature("not a task of ours") from error
    return {
        "id": uuid4().hex,
        "name": f"{task} {number}",
        "func": f"automation.tasks.{task}",
        "args": (number,),
        "kwargs": {},
        "started": datetime.now(UTC),
        "ack_failure": True,
        # Results go to the worker's own memory for a second, not into the pickle columns of django-q2's
        # table: those would be read back unsigned. What a task did is in our rows, why it failed in the log.
        "cached": 1,
    }


def pack_for_django_q(package: object, compressed: bool = False) -> str:  # noqa: FBT001, FBT002  its signature
    """In the place of django-q2's own packing: results and statistics are kept nowhere, tasks are refused."""
    if isinstance(package, dict) and "success" not in package:
        raise TypeError("Put tasks into the queue with automation.workers.queue.enqueue.")
    return ""


def _check(task: object, number: object) -> None:
    if task not in TASKS:
        raise ValueError(f"{task!r} is none of the tasks {', '.join(sorted(TASKS))}")
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError("a task takes one whole number, the id of a row")
