"""Times that a request speaks of: "tonight at 2", "tomorrow 03:00", "in two hours", as one moment to come."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

_NUMBERS: Final = {
    word: n
    for n, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    )
} | {"a": 1, "an": 1, "half an": 0.5, "half a": 0.5}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY: Final = (
    r"(?P<day>today|tonight|this evening|tomorrow(?: morning| night| evening)?"
    rf"|(?:on |next )?(?:{'|'.join(_DAYS)}))"
)
_CLOCK: Final = (
    r"(?P<clock>(?P<hour>[01]?\d|2[0-3])(?:[:.h](?P<minute>[0-5]\d))?\s?(?P<half>[ap]\.?m\.?)?"
    r"(?: ?o'?clock|h\b| uhr)?"
    r"|midnight|noon)(?![\w%-]|\.\d)"
)
_IN: Final = re.compile(
    r"\bin (?P<count>\d{1,3}|half an?|an?|"
    + "|".join(w for w in _NUMBERS if " " not in w and len(w) > 2)
    + r")"
    r" (?P<unit>minutes?|mins?|hours?|h|days?|weeks?)\b"
)
_DAY_CLOCK: Final = re.compile(rf"\b{_DAY}(?:,? (?:at|by|um) |,? @ ?|,? )?{_CLOCK}")
_CLOCK_DAY: Final = re.compile(rf"\b(?:at )?{_CLOCK} {_DAY}\b")
_AT_CLOCK: Final = re.compile(rf"\bat {_CLOCK}")
_LATER: Final = re.compile(
    r"\b(tonight|tomorrow|later|midnight|nightly|daily|weekly|hourly|monthly at|in the (morning|evening)"
    r"|this (evening|weekend)|at noon|(on|next|every) (mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|(next|every) (minute|hour|day|night|week|weekend|month)|in \d+ (minutes?|hours?|days?|weeks?))\b"
)
_REPEATED: Final = re.compile(r"\b(every|each|daily|nightly|weekly|hourly)\b")
_SPELLED: Final = ("tomorrow", "tonight", "midnight", *_DAYS)
_WORD: Final = re.compile(r"(?<![\w.-])[a-z]{6,10}(?![\w-]|\.\w)")
_EVENING_FROM, _NIGHT_UNTIL = 6, 5


@dataclass(frozen=True, slots=True)
class Moment:
    """Words that speak of a time, and which moment they mean; `at` None where that is not sure."""

    said: str
    at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "said": self.said,
            "at": self.at.isoformat() if self.at else None,
            "zone": str(self.at.tzinfo) if self.at else None,
        }

    def cut_from(self, request: str) -> str:
        """Give the request without these words, which say nothing of what to do."""
        said = r"\s+".join(map(re.escape, self.said.split()))
        return re.sub(said, " ", request, count=1, flags=re.IGNORECASE)

    def told(self, now: datetime) -> str:
        """Say the moment in words, with its zone and how far it is from `now`."""
        if self.at is None:
            return f'"{self.said}" is no single moment.'
        minutes = round((self.at.astimezone(UTC) - now.astimezone(UTC)).total_seconds() / 60)
        hours, rest = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        parts = [f"{days} d" * bool(days), f"{hours} h" * bool(hours), f"{rest} min" * bool(rest)]
        away = " ".join(part for part in parts if part) or "less than a minute"
        when = f"{self.at:%A} {self.at.day} {self.at:%B %Y, %H:%M %Z}"
        return f'"{self.said}" is {when}, in {away}.'


def moment_of(request: str, now: datetime) -> Moment | None:
    """Find the time a request speaks of, always after `now` and in its zone; None where it speaks of none."""
    text, typed = _spelled(" ".join(request.lower().replace("’", "'").split()))
    found = _moment_in(text, now)
    if found is None:
        return None
    said = _WORD.sub(lambda word: typed.get(word.group(0), word.group(0)), found.said)
    return Moment(said, found.at)


def _spelled(text: str) -> tuple[str, dict[str, str]]:
    """Give the text with its words for days spelled right, and how each of those was typed.

    Dropped as a word that nobody knows, "tomorow" would leave a time today.
    """
    typed: dict[str, str] = {}

    def right(word: re.Match[str]) -> str:
        found = get_close_matches(word.group(0).removesuffix("s"), _SPELLED, n=1, cutoff=0.85)
        if not found or found[0] in word.group(0):
            return word.group(0)
        typed[found[0]] = word.group(0)
        return found[0]

    return _WORD.sub(right, text), typed


def _moment_in(text: str, now: datetime) -> Moment | None:
    if relative := _IN.search(text):
        return Moment(relative.group(0), _after(relative.groupdict(), now))
    for pattern in (_DAY_CLOCK, _CLOCK_DAY, _AT_CLOCK):
        if found := pattern.search(text):
            parts = found.groupdict()
            repeated = _REPEATED.search(text)
            return Moment(found.group(0).strip(), None if repeated else _at(parts, now))
    found = _LATER.search(text)
    return Moment(found.group(0), None) if found else None


def _after(parts: Mapping[str, str], now: datetime) -> datetime:
    count = _NUMBERS.get(parts["count"])
    count = float(parts["count"]) if count is None else count
    unit = parts["unit"]
    seconds = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}[unit[0]]
    # By the world's clock: two hours are two hours when the clocks are changed, too.
    return (now.astimezone(UTC) + timedelta(seconds=count * seconds)).astimezone(now.tzinfo)


def _at(parts: Mapping[str, str | None], now: datetime) -> datetime | None:
    day = (parts.get("day") or "").removeprefix("on ")
    hour, minute, plain = _hour(parts)
    if hour is None:
        return None
    ahead = 0
    if day in {"tonight", "this evening", "tomorrow night", "tomorrow evening"}:
        # "tonight at 2" is after midnight, "tonight at 9" before it.
        if plain and _EVENING_FROM <= hour < 12:
            hour += 12
        ahead = 1 if hour <= _NIGHT_UNTIL else 0
    if day.startswith("tomorrow"):
        ahead += 1
    weekday = day.removeprefix("next ")
    if weekday in _DAYS:
        ahead = (_DAYS.index(weekday) - now.weekday()) % 7
    found = _on_day(now, ahead, hour, minute)
    if found <= now and day in {"today", "this evening"}:
        return None
    if found <= now:
        found = _on_day(now, ahead + (7 if weekday in _DAYS else 1), hour, minute)
    return found


def _hour(parts: Mapping[str, str | None]) -> tuple[int | None, int, bool]:
    """Give hour, minute, and whether the hour was said without am, pm or minutes."""
    if parts["clock"] in {"midnight", "noon"}:
        return (0 if parts["clock"] == "midnight" else 12), 0, False
    hour, minute = int(parts["hour"] or 0), int(parts["minute"] or 0)
    half = (parts["half"] or "").replace(".", "")
    if half:
        if not 1 <= hour <= 12:
            return None, 0, False
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour, minute, not half and parts["minute"] is None


def _on_day(now: datetime, ahead: int, hour: int, minute: int) -> datetime:
    date = (now + timedelta(days=ahead)).date()
    wanted = datetime(date.year, date.month, date.day, hour, minute, tzinfo=now.tzinfo)
    # An hour that the clocks jump over becomes the one after it.
    return wanted.astimezone(UTC).astimezone(now.tzinfo)
