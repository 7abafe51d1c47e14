"""What axe-core finds on a page."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Page) -> list[str]:
    """Each as `rule: help (selector: cause)`, by the rules of WCAG 2.2 levels A and AA."""
    # Evaluated by the debugger's protocol, which the page's own policy on scripts does not bind.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    answer: dict[str, Any] = page.evaluate(
        "levels => axe.run(document, {runOnly: {type: 'tag', values: levels}, resultTypes: ['violations']})",
        LEVELS,
    )
    return [
        f"{found['id']}: {found['help']} ({' '.join(map(str, node['target']))}: {_cause(node)})"
        for found in answer["violations"]
        for node in found["nodes"]
    ]


def _cause(node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return "; ".join(check["message"] for check in checks)
