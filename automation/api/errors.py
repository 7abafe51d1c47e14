"""What goes wrong in the domain, as problems: a stable code, the cause, and what to do next."""

from __future__ import annotations

from django.db import IntegrityError
from django.db.models import ProtectedError

from automation.api.problems import Problem
from automation.belonging import CircleError
from automation.decide import DecisionRefused
from automation.definitions.errors import DefinitionError, LanguageError, ParameterError, QueryError
from automation.models import IllegalTransition, VersionMoved
from automation.plan import PlanError
from automation.submit import PolicyDenied

# The run, or the portal, is not as the person thought; all else a decision is refused for is about who asks.
CONFLICTS = frozenset(
    {"plan.hash_mismatch", "approval.twice", "run.expired", "run.not_over", "portal.frozen"}
)


def as_problem(error: Exception) -> Problem | None:
    """The problem that tells of `error`; None for errors the frame answers itself."""
    match error:
        case LanguageError():
            return _of_language(error)
        case CircleError():
            found = [{"field": "parents", "message": str(error)}]
            return Problem(str(error), code="groups.circle", errors=found)
        case PolicyDenied():
            return Problem(str(error), code=error.code, status=403, errors=error.errors)
        case PlanError():
            status = 409 if error.code in CONFLICTS else 400
            return Problem(str(error), code=error.code, status=status, errors=error.errors)
        case IllegalTransition():
            return Problem(
                f"{error} Read the run again to see where it stands.",
                code="run.state",
                status=409,
                errors=[{"field": "status", "message": str(error.status)}],
            )
        case VersionMoved():
            stands = f"Version {error.newest} is the newest" if error.newest else "There is no such workflow"
            return Problem(
                f"{stands}, and If-Match names another. Read it again and bring your change into it.",
                code="workflow.version_moved",
                status=412,
                errors=[{"field": "If-Match", "message": stands, "newest": error.newest}],
            )
        case DecisionRefused():
            return Problem(str(error), code=error.code, status=409 if error.code in CONFLICTS else 403)
        case ProtectedError():
            return Problem("Other records need this one, so it stays.", code="in_use", status=409)
        case IntegrityError():
            return Problem(
                "Somebody else changed the same thing at this moment. Read it again, then repeat the change.",
                code="conflict",
                status=409,
            )
    return None


def _of_language(error: LanguageError) -> Problem:
    match error:
        case DefinitionError() | ParameterError():
            return Problem(str(error), code=error.code, errors=error.errors)
        case QueryError():
            return query_problem(error, "targets")
    return Problem(str(error), code=error.code)


def query_problem(error: QueryError, field: str) -> Problem:
    """What is wrong with a target query that came in `field`, with the column and a caret under the place."""
    found = {"field": field, "column": error.column, "message": error.message}
    if error.text:
        found["caret"] = error.caret
    return Problem(f"The target query cannot be read: {error}", code=error.code, errors=[found])
