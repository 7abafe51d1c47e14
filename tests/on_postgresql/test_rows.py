"""What PostgreSQL takes, refuses or stores in another way than SQLite."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from automation.models import Event, JobRun
from automation.models.rows import MANY, insert_rows

pytestmark = pytest.mark.django_db(transaction=True)
TEXTS = ["plain", "tab\tand\nline", "back\\slash \\N \\.", "päng 🎉", '"quoted"', "", "$(reboot)"]


def test_many_rows_are_stored_to_the_letter(run: JobRun, olga: User) -> None:
    del olga
    at = timezone.now()
    texts = [TEXTS[n % len(TEXTS)] for n in range(MANY + 1)]
    rows = [Event(run=run, seq=1000 + n, at=at, data={"message": t, "n": n}) for n, t in enumerate(texts)]
    insert_rows(rows)
    stored = Event.objects.filter(run=run, seq__gte=1000).order_by("seq")
    assert [(event.at, event.data) for event in stored] == [(at, row.data) for row in rows]
