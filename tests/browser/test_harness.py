"""The harness itself: a page with something wrong on it must not pass."""

import pytest
from playwright.sync_api import Browser, Page

from tests.acceptance.main_job.installation import Installation
from tests.browser.accessibility import violations
from tests.browser.watching import Watch

WRONGS = {
    "script error": "setTimeout(() => { throw new Error('broken') })",
    "console error": "console.error('broken')",
    "a dialog opened": "setTimeout(() => alert(1))",
    "CSP violation": "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
    "a request left the host": "setTimeout(() => { location.href = 'http://192.0.2.1/' })",
}


def open_nothing(browser: Browser, installation: Installation) -> tuple[Page, Watch]:
    url = f"http://127.0.0.1:{installation.portal.port}"
    context = browser.new_context(base_url=url)
    watch = Watch(url, ("404",))
    watch.over(context)
    page = context.new_page()
    page.goto("/nothing-is-here/", wait_until="networkidle")
    return page, watch


@pytest.mark.parametrize("wrong", WRONGS)
def test_what_is_wrong_on_a_page_is_noticed(browser: Browser, installation: Installation, wrong: str) -> None:
    page, watch = open_nothing(browser, installation)
    assert watch.found() == []
    page.evaluate(WRONGS[wrong])
    for _ in range(50):  # on a busy machine the page is told of its own mistake late
        page.wait_for_timeout(100)
        if any(wrong in problem for problem in watch.found()):
            break
    assert any(wrong in problem for problem in watch.found()), watch.problems
    page.context.close()


def test_axe_runs_under_the_policy_and_finds_an_image_without_words(
    browser: Browser, installation: Installation
) -> None:
    page, watch = open_nothing(browser, installation)
    page.evaluate("document.body.append(document.createElement('img'))")
    assert any(found.startswith("image-alt") for found in violations(page))
    assert watch.found() == []
    page.context.close()
