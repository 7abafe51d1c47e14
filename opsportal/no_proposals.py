"""The template library `proposals` where there are none (OPSPORTAL_ROLE=automation)."""

from typing import Any

from django import template

register = template.Library()


@register.simple_tag
def ask_box(typed: str = "") -> str:
    """No box: this service makes no proposals."""
    return ""


@register.simple_tag
def questions_waiting() -> list[dict[str, Any]]:
    """No proposals, so no questions."""
    return []
