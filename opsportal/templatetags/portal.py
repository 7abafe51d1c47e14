"""Icons, states, times and navigation: `{% load portal %}`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.contrib import admin
from django.db import DatabaseError
from django.template import RequestContext
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opsportal.freezing import frozen_now
from opsportal.states import look_of

register = template.Library()

SPRITE = "vendor/icons/sprite.svg"
MINUTE, HOUR, DAY = 60, 3600, 86400


@register.simple_tag
def icon(name: str, classes: str = "", label: str = "") -> SafeString:
    """An icon of the sprite (its names: frontend/icons.txt), hidden from screen readers unless labelled."""
    role = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="icon {}" {} focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        role,
        static(SPRITE),
        name,
    )


@register.filter
def some_of(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


@register.simple_tag
def state_badge(state: object, label: str = "") -> SafeString:
    """A state as icon and word; `label` replaces the word."""
    look = look_of(str(state))
    return format_html(
        '<span class="badge state state-{}" data-state="{}">{}<span>{}</span></span>',
        look.tone,
        str(state),
        icon(look.icon),
        label or look.label,
    )


@register.simple_tag
def state_icon(state: object) -> SafeString:
    """A state as a coloured icon with its word for screen readers and as a tip."""
    look = look_of(str(state))
    return format_html(
        '<span class="state-icon state-{}" data-state="{}" title="{}">{}</span>',
        look.tone,
        str(state),
        look.label,
        icon(look.icon, label=look.label),
    )


@register.simple_tag
def when(value: datetime | str | None, empty: str = "—") -> SafeString | str:
    """How long ago or ahead; the exact time is its tip. Takes a datetime or ISO 8601 text."""
    if not value:
        return empty
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}" data-when>{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        distance((utc - timezone.now()).total_seconds()),
    )


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as people write them, in one piece: 0.4 s, 12 s, 3 min 04 s, 2 h 05 min."""
    if seconds is None:
        return "—"
    if seconds < 10:
        text = f"{seconds:.1f} s"
    elif seconds < MINUTE - 0.5:
        text = f"{round(seconds)} s"
    elif seconds < HOUR - 0.5:
        minutes, rest = divmod(round(seconds), MINUTE)
        text = f"{minutes} min" + (f" {rest:02d} s" if rest else "")
    else:
        minutes = round(seconds) // MINUTE
        text = f"{minutes // 60} h {minutes % 60:02d} min"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def distance(seconds: float) -> str:
    """`-90` is "2 min ago", `7200` is "in 2 h"."""
    size = abs(seconds)
    if size < 45:
        return "just now" if seconds <= 0 else "in a moment"
    if size < 45 * MINUTE:
        text = f"{max(1, round(size / MINUTE))} min"
    elif size < 22 * HOUR:
        text = f"{max(1, round(size / HOUR))} h"
    else:
        days = max(1, round(size / DAY))
        text = f"{days} day" if days == 1 else f"{days} days"
    return f"in {text}" if seconds > 0 else f"{text} ago"


@register.simple_tag(takes_context=True)
def nav_link(context: RequestContext, name: str, label: str, icon_name: str) -> SafeString | str:
    """An entry of the navigation; nothing while no page has that name."""
    try:
        address = reverse(name)
    except NoReverseMatch:
        return ""
    here = context["request"].path
    current = here == address if address == "/" else here.startswith(address)
    return format_html(
        '<li class="nav-item{}"><a class="nav-link" href="{}"{}>{}<span>{}</span></a></li>',
        " active" if current else "",
        address,
        SafeString(' aria-current="page"') if current else "",
        icon(icon_name),
        label,
    )


@register.simple_tag
def frozen_reason() -> str:
    """Why the portal is frozen; empty when it is not."""
    try:
        return frozen_now()
    except DatabaseError:  # the page that tells of it has this banner's place, too
        return ""


@register.simple_tag
def page_url(name: str, *args: object) -> str:
    """The address of a page; the overview's while no page has that name."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return reverse("overview")


@register.simple_tag
def page_link(name: str, number: int, word: str) -> SafeString:
    """A numbered thing as a link to its page; without one while no page has that name."""
    try:
        return format_html('<a href="{}">{} {}</a>', reverse(name, args=[number]), word, number)
    except NoReverseMatch:
        return format_html("{} {}", word, number)


@register.simple_tag(takes_context=True)
def may_administer(context: RequestContext) -> bool:
    """Whether the admin lets this person in."""
    return admin.site.has_permission(context["request"])


@register.simple_tag(takes_context=True)
def query_with(context: RequestContext, **changes: Any) -> str:
    """The page's query string with these keys set, or removed where the value is empty; starts with `?`."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        query.pop(key, None)
        if value not in ("", None):
            query[key] = str(value)
    return f"?{query.urlencode()}" if query else "?"


@register.simple_tag(takes_context=True)
def query_without(context: RequestContext, key: str) -> str:
    """The page's query string without this key, from the first page on; starts with `?`."""
    return query_with(context, **{key: "", "page": ""})
