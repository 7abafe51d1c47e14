"""What the tests read on the live page of a run."""

import re

from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

FINAL = re.compile("^(succeeded|partial|failed|cancelled|errored)$")


class RunPage:
    """The live page of one run."""

    def __init__(self, page: Page, run: int) -> None:
        self.page = page
        self.run = run
        self.root = page.locator("#run")

    def open(self, query: str = "") -> "RunPage":
        self.page.goto(reverse("run", args=[self.run]) + query)
        return self

    @property
    def log(self) -> Locator:
        """The lines in sight of the log that is shown."""
        return self.page.locator("#log-live .log-text")

    @property
    def names(self) -> list[str]:
        """Of the targets, from the top."""
        return self.page.locator("#matrix-rows .matrix-name").all_inner_texts()

    def expect_line(self, text: str, *, seconds: float = 15) -> None:
        expect(self.log.get_by_text(text, exact=True).first).to_be_visible(timeout=seconds * 1000)

    def expect_live(self, *, seconds: float = 15) -> None:
        expect(self.root).to_have_attribute("data-connection", "live", timeout=seconds * 1000)

    def expect_status(self, status: str | re.Pattern[str] = FINAL, *, seconds: float = 60) -> None:
        expect(self.root).to_have_attribute("data-status", status, timeout=seconds * 1000)

    def number(self, name: str) -> int:
        """One of the numbers that the page keeps of what it has applied: `last-seq`, `applied`, `gaps`."""
        return int(self.root.get_attribute(f"data-{name}") or "-1")

    def expect_whole_story(self, last: int, *, seconds: float = 15) -> None:
        """Every event up to `last` was applied once, in order, whatever happened to the connection."""
        expect(self.root).to_have_attribute("data-last-seq", str(last), timeout=seconds * 1000)
        assert self.number("gaps") == 0
        assert self.number("applied") == last - self.number("first-seq")
