"""The ask box, and the proposals that wait for an answer: `{% load proposals %}`."""

from datetime import timedelta
from typing import Any, Final

from django import template
from django.template import RequestContext
from django.utils import timezone

from aiworkflows.api.permissions import may_propose
from aiworkflows.models import LONGEST_REQUEST, Proposal

register = template.Library()

# Requests that the catalogue understands wherever there are targets.
EXAMPLES: Final = (
    "how full are the disks on all servers",
    "is nginx running on the web servers",
    "update openssl on all servers",
    "who is logged in on all servers",
)
WAITS: Final = timedelta(days=7)
SHOWN: Final = 5


@register.inclusion_tag("aiworkflows/ask_box.html", takes_context=True)
def ask_box(context: RequestContext, typed: str = "") -> dict[str, Any]:
    """The form that makes a proposal of a sentence; switched off, with the reason, for who may not."""
    return {
        "request": context["request"],
        "csrf_token": context.get("csrf_token"),
        "typed": typed[:LONGEST_REQUEST],
        "longest": LONGEST_REQUEST,
        "examples": EXAMPLES,
        "allowed": may_propose(context["request"].user),
    }


@register.simple_tag(takes_context=True)
def questions_waiting(context: RequestContext) -> list[dict[str, Any]]:
    """The signed-in person's own young proposals that ask something, newest first."""
    user = context["request"].user
    mine = Proposal.objects.visible_to(user).filter(author_id=user.pk)
    asking = mine.filter(status=Proposal.Status.NEEDS_ANSWER, created__gt=timezone.now() - WAITS)
    rows = asking.only("pk", "request", "questions", "created")[:SHOWN]
    return [
        {
            "pk": row.pk,
            "request": row.request,
            "created": row.created,
            "question": row.questions[0]["text"] if row.questions else "",
        }
        for row in rows
    ]
