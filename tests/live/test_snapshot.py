"""What a page is made of was true at one moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from automation.live.snapshot import one_moment, snapshot
from automation.models import JobRun
from tests.live.stories import begin, make_run, person, print_bytes, tell_notes


def elsewhere(work: Callable[[], Any]) -> None:
    """Do it over another connection, and wait for it."""

    def do() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=do)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "a writer waits for a reader"


@pytest.mark.django_db
def test_it_holds_the_run_its_results_and_their_attempts() -> None:
    run = make_run(person("olga", "operator"), "web1", "web2")
    first, second = begin(run), begin(run)
    print_bytes(run, second, b"hello\n")
    taken = snapshot(run.pk)
    assert (taken.run, taken.last_seq) == (run, JobRun.objects.get(pk=run.pk).last_seq)
    assert [row.run_target.name for row in taken.results] == ["web1", "web2"]
    assert taken.attempts == {taken.results[0].pk: [first, second]}
    assert taken.last_attempt(taken.results[0]) == second
    assert taken.last_attempt(taken.results[0], "verify") is None
    assert taken.last_attempt(taken.results[1]) is None


@pytest.mark.django_db
def test_who_asks_for_no_run_is_told_so() -> None:
    with pytest.raises(JobRun.DoesNotExist):
        snapshot(1)


@pytest.mark.django_db
@pytest.mark.parametrize("targets", [3, 30])
def test_it_takes_as_many_queries_for_many_targets_as_for_few(
    targets: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    run = make_run(person("olga", "operator"), *(f"web{n}" for n in range(1, targets + 1)))
    with django_assert_num_queries(3):
        taken = snapshot(run.pk)
        assert len({row.run_target.name for row in taken.results}) == targets


@pytest.mark.django_db(transaction=True)
def test_what_is_written_meanwhile_is_not_seen_and_does_not_wait() -> None:
    run = make_run(person("olga", "operator"))
    with one_moment():
        before = JobRun.objects.get(pk=run.pk).last_seq
        elsewhere(lambda: tell_notes(run, 3))
        assert JobRun.objects.get(pk=run.pk).last_seq == before
        assert run.events.count() == before
    assert snapshot(run.pk).last_seq == before + 3


@pytest.mark.django_db(transaction=True)
def test_a_failure_while_reading_leaves_the_connection_usable() -> None:
    run = make_run(person("olga", "operator"))
    with pytest.raises(JobRun.DoesNotExist):
        snapshot(run.pk + 1)
    tell_notes(run, 1)
    assert snapshot(run.pk).last_seq == 2
