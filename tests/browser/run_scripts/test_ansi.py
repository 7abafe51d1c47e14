"""Terminal text is shown as colour or as text, and never does anything."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.run_scripts.conftest import run

SHOW = """
  return pieces(argument, PLAIN).map(([text, style]) => [text, classesOf(style)]);
"""


def shown(page: Page, line: str) -> list[list[str]]:
    found: list[list[str]] = run(page, "pieces, classesOf, PLAIN", "run_ansi.js", SHOW, line)
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("plain", [["plain", ""]]),
        ("\x1b[31mred\x1b[0m not", [["red", "ansi-fg-1"], [" not", ""]]),
        ("\x1b[1;92;41mall\x1b[m", [["all", "ansi-fg-10 ansi-bg-1 ansi-bold"]]),
        ("\x1b[7mturned\x1b[27m", [["turned", "ansi-fg-ground ansi-bg-text"]]),
        ("\x1b[38;5;196mr\x1b[38;2;0;0;0mb", [["r", "ansi-fg-1"], ["b", "ansi-fg-0"]]),
        ("\x1b[8mnot hidden", [["not hidden", ""]]),
    ],
)
def test_colours_and_weights_become_classes(scripts: Page, line: str, expected: list[list[str]]) -> None:
    assert shown(scripts, line) == expected


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J",
        "\x1b[10;10H",
        "\x1b[?25l",
        "\x1b]0;title\x07",
        "\x1b]52;c;cm0=\x1b\\",
        "\x1bP1$r\x1b\\",
        "\x1bc",
    ],
)
def test_what_only_moves_a_terminal_is_dropped(scripts: Page, sequence: str) -> None:
    assert "".join(text for text, _ in shown(scripts, f"a{sequence}b")) == "ab"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("\x1b]0;no end rm -rf /", "␛]0;no end rm -rf /"),
        ("progress 1%\rprogress 2%", "progress 1%␍progress 2%"),
        ("safe\x08\x08evil", "safe␈␈evil"),
        ("abc\u202edcba", "abc‹U+202E›dcba"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_nothing_can_hide_what_was_printed(scripts: Page, line: str, expected: str) -> None:
    assert "".join(text for text, _ in shown(scripts, line)) == expected
