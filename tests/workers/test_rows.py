"""Rows stored in bulk are the rows that were meant, whatever their columns hold."""

from uuid import uuid4

from django.utils import timezone

from automation.models import Attempt, AttemptState, OutputChunk
from automation.models.rows import insert_rows, update_rows
from tests.workers.spine import Spine

LOOK = "{name: look, steps: [{name: look, effect: read, run: {bash: 'true'}}]}"


def test_what_is_inserted_reads_back_the_same(spine: Spine) -> None:
    spine.add_targets("a", "b")
    results = spine.submit(LOOK).results.all()
    now = timezone.now()
    attempts = [
        Attempt(id=uuid4(), result=result, body="run", number=1, mode="plain", become=False, intent_at=now)
        for result in results
    ]
    insert_rows(attempts)
    insert_rows([OutputChunk(attempt=attempts[0], stream="stdout", offset=0, end=3, data=b"\0\xffa")])
    stored = Attempt.objects.in_bulk()
    for attempt in attempts:
        for field in Attempt._meta.concrete_fields:
            assert getattr(stored[attempt.pk], field.attname) == getattr(attempt, field.attname), field
    assert bytes(OutputChunk.objects.get().data) == b"\0\xffa"


def test_an_update_writes_each_row_its_own_values_and_no_other_column(spine: Spine) -> None:
    spine.add_targets("a", "b")
    spine.run(LOOK)
    attempts = list(Attempt.objects.all())
    for number, attempt in enumerate(attempts):
        attempt.state, attempt.exit_code, attempt.left = AttemptState.UNKNOWN, number, [f"process:{number}"]
        attempt.message = "not to be stored"
    update_rows(attempts, ("state", "exit_code", "left"))
    stored = Attempt.objects.in_bulk()
    for number, attempt in enumerate(attempts):
        row = stored[attempt.pk]
        assert (row.state, row.exit_code, row.left) == ("unknown", number, [f"process:{number}"])
        assert row.message == ""


def test_nothing_to_store_asks_nothing() -> None:
    insert_rows([])
    update_rows([], ("state",))
