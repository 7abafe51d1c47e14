"""Bytes become lines: none is lost, none comes twice, whatever pieces they come in."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.run_scripts.conftest import run

FEED = """
  const lines = new Lines();
  for (const [offset, bytes] of argument) lines.append(new Uint8Array(bytes), offset);
  lines.finish();
  return [...Array(lines.count).keys()].map((at) => lines.note(at) ?? lines.text(at));
"""


def lines(page: Page, *pieces: tuple[int, bytes]) -> list[str]:
    given = [[offset, list(data)] for offset, data in pieces]
    found: list[str] = run(page, "Lines", "run_lines.js", FEED, given)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_characters_and_lines_are_whole_across_the_borders_of_pieces(scripts: Page, size: int) -> None:
    data = "grüße\n\n日本語 🙂\r\nlast, without an end".encode()
    pieces = [(at, data[at : at + size]) for at in range(0, len(data), size)]
    assert lines(scripts, *pieces) == ["grüße", "", "日本語 🙂", "last, without an end"]


def test_a_piece_that_comes_twice_or_overlaps_is_taken_once(scripts: Page) -> None:
    assert lines(scripts, (0, b"one\ntw"), (0, b"one\n"), (2, b"e\ntwo\nthr"), (11, b"ee\n")) == [
        "one",
        "two",
        "three",
    ]


def test_output_that_was_not_kept_is_marked(scripts: Page) -> None:
    found = lines(scripts, (0, b"head\nhalf a li"), (1000, b"ne\ntail\n"))
    assert found == ["head", "half a li", "… 986 bytes were not kept …", "ne", "tail"]


def test_bytes_that_are_no_text_are_shown_as_such(scripts: Page) -> None:
    assert lines(scripts, (0, b"a\xff\xe2\x82\nb\xe2\x82")) == [
        "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
        "b\N{REPLACEMENT CHARACTER}",
    ]


def test_fifty_thousand_lines_are_all_there_in_order(scripts: Page) -> None:
    data = b"".join(b"\x1b[3%dmline %d\x1b[0m\n" % (n % 8, n) for n in range(50_000))
    pieces = [(at, data[at : at + 65_536]) for at in range(0, len(data), 65_536)]
    found = lines(scripts, *pieces)
    assert found == [f"\x1b[3{n % 8}mline {n}\x1b[0m" for n in range(50_000)]
