"""What a score is worth: how often the first runbook was right at it."""

from itertools import pairwise
from typing import Final

# Scores, and how often the first runbook was right at them: measured on the catalogue's own examples, each
# planned without itself (docs/planner.md).
_CHANCES: Final = (
    (0.0, 0.0),
    (0.15, 0.3),
    (0.25, 0.55),
    (0.35, 0.83),
    (0.45, 0.92),
    (0.65, 0.95),
    (1.0, 0.98),
)


def chance(score: float) -> float:
    """How often the first runbook is right at this score, 0 to 1."""
    for (low, at_low), (high, at_high) in pairwise(_CHANCES):
        if score <= high:
            return at_low + (at_high - at_low) * (score - low) / (high - low)
    return _CHANCES[-1][1]
