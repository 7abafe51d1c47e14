"""The run page's scripts alone, in a real Chromium: no portal, no network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, Route, sync_playwright

SCRIPTS = Path(settings.BASE_DIR) / "static/js"
HERE = "http://scripts.test"
ARGUMENTS = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def script_browser() -> Iterator[Browser]:
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium refuses to have one as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[*ARGUMENTS, *sandbox])
        yield browser
        browser.close()


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
def scripts(script_browser: Browser) -> Iterator[Page]:
    page = script_browser.new_page()
    page.route("**/*", serve)
    page.goto(f"{HERE}/")
    yield page
    page.close()


def run(page: Page, names: str, module: str, body: str, argument: Any = None) -> Any:
    """What `body` returns, an async function of `argument` with these names imported from a module."""
    text = f"async (argument) => {{ const {{ {names} }} = await import('/static/js/{module}'); {body} }}"
    return page.evaluate(text, argument)
