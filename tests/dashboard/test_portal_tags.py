"""Icons, states and times as templates write them."""

from datetime import timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone

from automation.models.results import ResultState
from automation.models.runs import RunStatus
from opsportal.states import LOOKS
from opsportal.templatetags.portal import distance, duration
from tests.dashboard.test_vendored import SYMBOLS


def rendered(source: str, **context: object) -> str:
    return Template("{% load portal %}" + source).render(Context(context))


def test_every_state_of_runs_and_results_has_a_look() -> None:
    assert {*RunStatus.values, *ResultState.values} <= set(LOOKS)


def test_every_state_s_icon_is_in_the_sprite() -> None:
    assert {look.icon for look in LOOKS.values()} <= SYMBOLS


def test_a_state_is_told_in_words_and_not_by_colour_alone() -> None:
    shown = rendered("{% state_badge state %}", state="timed_out")
    assert "Timed out" in shown and "<svg" in shown


def test_a_state_nobody_has_drawn_is_shown_escaped() -> None:
    shown = rendered("{% state_badge state %}", state="<b>odd</b>")
    assert "<b>" not in shown and "&lt;b&gt;" in shown


def test_a_decorative_icon_is_hidden_from_screen_readers_and_a_labelled_one_is_not() -> None:
    assert 'aria-hidden="true"' in rendered('{% icon "check" %}')
    assert 'aria-label="Done"' in rendered('{% icon "check" "" "Done" %}')


def test_a_time_is_relative_with_the_exact_one_beside_it() -> None:
    moment = timezone.now() - timedelta(minutes=5)
    shown = rendered("{% when moment %}", moment=moment)
    assert "5 min ago" in shown and f"{moment:%Y-%m-%d %H:%M:%S} UTC" in shown


def test_a_time_may_come_as_text_or_not_at_all() -> None:
    assert "ago" in rendered("{% when moment %}", moment="2020-01-01T00:00:00+00:00")
    assert rendered("{% when moment %}", moment=None) == "—"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-10, "just now"), (20, "in a moment"), (-90, "2 min ago"), (7200, "in 2 h"), (-90000, "1 day ago")],
)
def test_distances_read_as_people_say_them(seconds: float, words: str) -> None:
    assert distance(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "—"), (0.42, "0.4 s"), (12, "12 s"), (59.7, "1 min"), (184, "3 min 04 s"), (7500, "2 h 05 min")],
)
def test_durations_read_as_people_write_them(seconds: float | None, words: str) -> None:
    assert duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == words
