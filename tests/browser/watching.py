"""Pages that tell on themselves: what goes wrong in a browser beside the claim of a test fails that test."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page

# The browser's own listeners report what the console may leave out.
VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass
class Watch:
    """Errors in scripts and on the console, CSP violations, dialogs, and requests to another host."""

    origin: str
    forgiven: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Begin; pages opened in this context from now on are watched."""
        context.add_init_script(VIOLATIONS)
        context.on("page", self._page)
        context.on("request", lambda request: self._left(request.url))
        context.on("console", self._console)
        context.on("dialog", self._dialog)

    def found(self) -> list[str]:
        """What nobody forgave."""
        return [p for p in self.problems if not any(re.search(pattern, p) for pattern in self.forgiven)]

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._left(socket.url))
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: script error: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self.problems.append(f"{where}: console error: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"a dialog opened: {dialog.type} {dialog.message!r}")
        dialog.dismiss()

    def _left(self, url: str) -> None:
        own = (f"{self.origin}/", f"{self.origin.replace('http', 'ws', 1)}/", "data:", "blob:", "about:")
        if not url.startswith(own):
            self.problems.append(f"a request left the host: {url}")
