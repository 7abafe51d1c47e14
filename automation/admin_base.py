"""What all administration pages have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar, cast

from django import forms
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display as unfold_display

from automation.scopes import may

SHOWN = 50
NOTHING = "–"
Shown = TypeVar("Shown", bound=Callable[..., Any])


def display(**options: Any) -> Callable[[Shown], Shown]:
    """The theme's decorator of what a list or a page shows, with its types."""
    return cast(Callable[[Shown], Shown], unfold_display(**options))


class PortalModelAdmin(ModelAdmin):  # type: ignore[misc]  # the package has no types
    """For the role admin, which is all that is asked: model permissions of Django's own play no part."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    # Only what was changed is written: another process may have written the rest meanwhile.
    always_written: tuple[str, ...] = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "admin")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "admin")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "admin")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "admin")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, "admin")

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: forms.ModelForm[Any],
        change: bool,  # noqa: FBT001  Django's
    ) -> None:
        if not change:
            obj.save()
            return
        columns = {field.name for field in obj._meta.concrete_fields}
        if changed := [name for name in form.changed_data if name in columns]:
            obj.save(update_fields=[*changed, *self.always_written])


class ReadOnlyModelAdmin(PortalModelAdmin):
    """Rows that are looked at here, and made and changed elsewhere."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def link(row: Model) -> SafeString:
    """A link to the administration page of this row."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a class="underline" href="{}">{}</a>', reverse(name, args=[row.pk]), row)


def links(rows: Iterable[Model], total: int) -> SafeString | str:
    """Links to these rows, and how many more there are; a dash for none."""
    shown = list(rows)
    if not shown:
        return NOTHING
    more = f" and {total - len(shown)} more" if total > len(shown) else ""
    return format_html("{}{}", format_html_join(", ", "{}", ((link(row),) for row in shown)), more)


def unbroken(text: str) -> SafeString:
    """A long word, such as a hash, that may be broken anywhere on a narrow screen."""
    return format_html('<span class="wrap-anywhere font-mono">{}</span>', text)


def moment(value: datetime | None) -> SafeString | str:
    """A time in one line."""
    if value is None:
        return NOTHING
    return format_html('<span class="whitespace-nowrap">{}</span>', value.strftime("%Y-%m-%d %H:%M UTC"))


def preformatted(text: str) -> SafeString:
    """Text as it is, with its line ends."""
    return format_html('<pre class="whitespace-pre-wrap font-mono text-xs">{}</pre>', text)
