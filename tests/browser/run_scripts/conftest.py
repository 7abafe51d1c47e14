"""The run page's scripts alone, in a real Chromium: no portal, no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, Route

SCRIPTS = Path(settings.BASE_DIR) / "static/js"
HERE = "http://scripts.test"


def serve(route: Route) -> None:
    """The project's own scripts, and an empty page."""
    name = route.request.url.removeprefix(HERE).lstrip("/").partition("?")[0]
    if name.startswith("static/js/"):
        body = (SCRIPTS / Path(name).name).read_text(encoding="utf-8")
        route.fulfill(body=body, content_type="text/javascript")
    else:
        route.fulfill(
            body="<!doctype html><title>Scripts</title><div id=root></div>", content_type="text/html"
        )


@pytest.fixture
def scripts(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.route("**/*", serve)
    page.goto(f"{HERE}/")
    yield page
    page.close()


def run(page: Page, names: str, module: str, body: str, argument: Any = None) -> Any:
    """What `body` returns, an async function of `argument` with these names imported from a module."""
    text = f"async (argument) => {{ const {{ {names} }} = await import('/static/js/{module}'); {body} }}"
    return page.evaluate(text, argument)
