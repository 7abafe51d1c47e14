"""Times in a request: always one moment to come, with its zone, or none at all."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from aiworkflows.planners.times import moment_of

ZURICH = ZoneInfo("Europe/Zurich")
# A Monday.
NOW = datetime(2026, 11, 23, 10, 36, tzinfo=ZURICH)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("tonight at 2", "2026-11-24T02:00+01:00"),
        ("tonight at 9", "2026-11-23T21:00+01:00"),
        ("tonight at 23:30", "2026-11-23T23:30+01:00"),
        ("at 2 tonight", "2026-11-24T02:00+01:00"),
        ("tomorrow 03:00", "2026-11-24T03:00+01:00"),
        ("tomorrow at 3pm", "2026-11-24T15:00+01:00"),
        ("2am tomorrow", "2026-11-24T02:00+01:00"),
        ("at 14:30", "2026-11-23T14:30+01:00"),
        ("at 9am", "2026-11-24T09:00+01:00"),
        ("on friday at 22:00", "2026-11-27T22:00+01:00"),
        ("monday 10:00", "2026-11-30T10:00+01:00"),
        ("at midnight", "2026-11-24T00:00+01:00"),
        ("in two hours", "2026-11-23T12:36+01:00"),
        ("in half an hour", "2026-11-23T11:06+01:00"),
        ("in 3 days", "2026-11-26T10:36+01:00"),
    ],
)
def test_a_time_is_one_moment_to_come(said: str, meant: str) -> None:
    moment = moment_of(f"restart nginx on the web servers {said}", NOW)
    assert moment is not None
    assert moment.at is not None
    assert moment.at.isoformat(timespec="minutes") == meant
    assert moment.at > NOW


@pytest.mark.parametrize("said", ["tonight", "every sunday at 3", "next week", "daily", "today at 9:00"])
def test_what_is_no_single_moment_to_come_is_told_and_not_guessed(said: str) -> None:
    moment = moment_of(f"restart nginx {said}", NOW)
    assert moment is not None
    assert moment.at is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tomorow at 5 pm", "2026-11-24T17:00+01:00"),
        ("tommorrow 03:00", "2026-11-24T03:00+01:00"),
        ("on wensday at 22:00", "2026-11-25T22:00+01:00"),
        ("at 2 tonigth", "2026-11-24T02:00+01:00"),
    ],
)
def test_a_day_that_is_spelled_wrong_is_that_day_and_told_as_it_was_typed(typed: str, meant: str) -> None:
    moment = moment_of(f"Restart nginx {typed}", NOW)
    assert moment is not None
    assert moment.at is not None
    assert moment.at.isoformat(timespec="minutes") == meant
    assert moment.said == typed
    assert moment.cut_from(f"Restart nginx {typed}").split() == ["Restart", "nginx"]


@pytest.mark.parametrize("named", ["tomorrowland", "midnight-commander", "sunday.example.org"])
def test_a_name_that_looks_like_a_day_is_none(named: str) -> None:
    moment = moment_of(f"restart nginx on {named} at 5 pm", NOW)
    assert moment is not None
    assert moment.at is not None
    assert moment.at.isoformat(timespec="minutes") == "2026-11-23T17:00+01:00"


def test_a_request_without_a_time_has_none() -> None:
    assert moment_of("update nginx on web-1 and db-12", NOW) is None


def test_the_moment_is_told_with_its_zone_and_how_far_it_is() -> None:
    moment = moment_of("reboot web-1 tomorrow 03:00", NOW)
    assert moment is not None
    assert moment.told(NOW) == '"tomorrow 03:00" is Tuesday 24 November 2026, 03:00 CET, in 16 h 24 min.'
    assert moment.as_dict() == {
        "said": "tomorrow 03:00",
        "at": "2026-11-24T03:00:00+01:00",
        "zone": "Europe/Zurich",
    }


def test_hours_are_hours_where_the_clocks_change() -> None:
    before = datetime(2026, 10, 25, 1, 30, tzinfo=ZURICH)
    moment = moment_of("reboot web-1 in two hours", before)
    assert moment is not None
    assert moment.at is not None
    assert (moment.at.astimezone(UTC) - before.astimezone(UTC)).total_seconds() == 7200


def test_an_hour_that_the_clocks_jump_over_becomes_the_one_after_it() -> None:
    moment = moment_of("reboot web-1 tomorrow 02:30", datetime(2026, 3, 28, 12, 0, tzinfo=ZURICH))
    assert moment is not None
    assert moment.at is not None
    assert moment.at.isoformat(timespec="minutes") == "2026-03-29T03:30+02:00"
