"""The running product with its people, and their browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page, StorageState

from tests.acceptance.main_job.installation import PASSWORD, Installation
from tests.browser.watching import Watch

Role = Literal["viewer", "operator", "approver", "admin"]
Theme = Literal["light", "dark"]

PEOPLE: dict[Role, str] = {"viewer": "vera", "operator": "olivia", "approver": "anna", "admin": "ada"}
HEIGHTS = {390: 844}
PHONE, DESK = 390, 1440


class Stage:
    """Signed-in browsers by role. Each page opened here is watched; `problems()` tells what went wrong."""

    def __init__(self, installation: Installation, browser: Browser) -> None:
        self.installation = installation
        self.url = f"http://127.0.0.1:{installation.portal.port}"
        self._browser = browser
        self._signed_in: dict[Role, StorageState] = {}
        self._watches: list[Watch] = []
        self._contexts: list[BrowserContext] = []

    def page(
        self,
        role: Role | None,
        width: int = DESK,
        theme: Theme = "light",
        *,
        forgives: tuple[str, ...] = (),
        moves: bool = True,
    ) -> Page:
        """A new browser window of a person with this role, of nobody without one.

        `forgives` are patterns of console errors that the test causes on purpose. Without `moves` the person
        has asked for pages that do not move: many windows would keep the machine busy with drawing.
        """
        context = self._context(width, theme, forgives, role and self._state(role), moves=moves)
        return context.new_page()

    def problems(self) -> list[str]:
        """Of all pages so far, which are closed."""
        for context in self._contexts:
            context.close()
        found = [problem for watch in self._watches for problem in watch.found()]
        self._contexts, self._watches = [], []
        return found

    def _context(
        self,
        width: int,
        theme: Theme,
        forgives: tuple[str, ...] = (),
        state: StorageState | None = None,
        *,
        moves: bool = True,
    ) -> BrowserContext:
        context = self._browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": HEIGHTS.get(width, 900)},
            color_scheme=theme,
            reduced_motion="no-preference" if moves else "reduce",
            has_touch=width == PHONE,
            storage_state=state,
            accept_downloads=True,
        )
        context.set_default_timeout(15_000)
        watch = Watch(self.url, forgives)
        watch.over(context)
        self._contexts.append(context)
        self._watches.append(watch)
        return context

    def _state(self, role: Role) -> StorageState:
        """Signed in through the form, once for each role."""
        if role not in self._signed_in:
            page = self._context(DESK, "light").new_page()
            sign_in(page, PEOPLE[role])
            self._signed_in[role] = page.context.storage_state()
            page.close()
        return self._signed_in[role]


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """By the form, as people do; ends on the overview."""
    page.goto(reverse("sign-in"))
    page.get_by_label("User name").or_(page.get_by_label("Username")).fill(name)
    page.get_by_label("Password").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{reverse('overview')}")


class Shots:
    """Pictures of whole pages into a directory, when the command line named one."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def __call__(self, page: Page, name: str) -> None:
        if self._directory is None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        size = page.viewport_size or {"width": 0}
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        file = self._directory / f"{name}-{size['width']}-{'dark' if dark else 'light'}.png"
        page.screenshot(path=file, full_page=True, animations="disabled")
