"""How every state looks: the same word, icon and tone wherever it is shown."""

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "busy", "wait", "quiet"]


@dataclass(frozen=True, slots=True)
class Look:
    """A label for people, an icon of the sprite, and a tone of static/css/portal.css."""

    label: str
    icon: str
    tone: Tone


LOOKS: dict[str, Look] = {
    # runs
    "held": Look("Held", "hand-stop", "wait"),
    "awaiting_approval": Look("Awaiting approval", "hourglass-high", "wait"),
    "queued": Look("Queued", "clock", "busy"),
    "running": Look("Running", "player-play", "busy"),
    "paused": Look("Paused", "player-pause", "wait"),
    "succeeded": Look("Succeeded", "check", "good"),
    "partial": Look("Partly succeeded", "alert-triangle", "wait"),
    "failed": Look("Failed", "x", "bad"),
    "cancelled": Look("Cancelled", "player-stop", "quiet"),
    "errored": Look("Errored", "alert-octagon", "bad"),
    "rejected": Look("Rejected", "thumb-down", "bad"),
    "expired": Look("Expired", "clock-off", "quiet"),
    # results, attempts
    "pending": Look("Pending", "circle-dashed", "quiet"),
    "timed_out": Look("Timed out", "clock-x", "bad"),
    "unreachable": Look("Unreachable", "plug-x", "bad"),
    "unknown": Look("Unknown", "question-mark", "bad"),
    "blocked": Look("Blocked", "lock", "bad"),
    "skipped": Look("Skipped", "player-skip-forward", "quiet"),
    "verified": Look("Verified", "shield-check", "good"),
    "undone": Look("Undone", "arrow-back-up", "wait"),
    "undo_failed": Look("Undo failed", "alert-octagon", "bad"),
    "claimed": Look("Claimed", "circle-dot", "busy"),
    "dispatching": Look("Being sent", "send", "busy"),
    "ended": Look("Ended", "check", "quiet"),
    "fenced": Look("Never started", "ban", "quiet"),
    # proposals
    "planning": Look("Planning", "loader-2", "busy"),
    "ready": Look("Ready", "check", "good"),
    "needs_answer": Look("Needs an answer", "message-question", "wait"),
    "refused": Look("Not planned", "x", "bad"),
    "submitted": Look("Submitted", "send", "quiet"),
    # decisions, host keys, targets
    "approved": Look("Approved", "thumb-up", "good"),
    "trusted": Look("Trusted", "shield-check", "good"),
    "changed": Look("Changed", "alert-octagon", "bad"),
    "revoked": Look("Revoked", "shield-off", "quiet"),
    "overdue": Look("Test overdue", "clock-x", "wait"),
    "reachable": Look("Reachable", "plug-connected", "good"),
    "ok": Look("OK", "check", "good"),
    "healthy": Look("Healthy", "check", "good"),
    "unhealthy": Look("Unhealthy", "x", "bad"),
    "untested": Look("Not tested", "question-mark", "quiet"),
    "enabled": Look("Enabled", "check", "good"),
    "disabled": Look("Disabled", "ban", "quiet"),
    "maintenance": Look("In maintenance", "settings", "wait"),
    # effects and tiers
    "read": Look("Reads only", "eye", "good"),
    "change": Look("Changes", "pencil", "wait"),
    "destructive": Look("Destructive", "alert-triangle", "bad"),
}


def look_of(state: str) -> Look:
    """The state's look; one nobody has drawn yet is shown by its own name."""
    known = LOOKS.get(state)
    return known or Look(state.replace("_", " ").capitalize() or "—", "point", "quiet")
