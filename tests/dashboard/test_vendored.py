"""What pages load: the vendored files, and templates that a strict policy leaves working."""

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "static" / "vendor"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
RECORD = json.loads((VENDOR / "VENDOR.json").read_text("utf-8"))
SYMBOLS = set(re.findall(r'<symbol id="([^"]+)"', (VENDOR / "icons/sprite.svg").read_text("utf-8")))

INLINE = {
    "a script": re.compile(r"<script(?![^>]*\bsrc=)", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "a style attribute": re.compile(r"\sstyle\s*=", re.IGNORECASE),
    "a handler": re.compile(r"\son[a-z]+\s*=", re.IGNORECASE),
    "an htmx handler": re.compile(r"\b(?:data-)?hx-on\b", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "another host": re.compile(r"(?:src|href|action|hx-[a-z]+)\s*=\s*[\"']?(?:https?:)?//", re.IGNORECASE),
    "text that is not escaped": re.compile(r"\|\s*safe\b|autoescape\s+off"),
}


def test_every_vendored_file_is_the_recorded_one() -> None:
    recorded = {name: digest for entry in RECORD for name, digest in entry["files"].items()}
    found = {
        str(file.relative_to(VENDOR)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in VENDOR.rglob("*")
        if file.is_file() and file.name != "VENDOR.json"
    }
    assert found == recorded


@pytest.mark.parametrize("entry", RECORD, ids=lambda entry: entry["name"])
def test_every_vendored_package_names_its_version_and_brings_its_licence(entry: dict[str, object]) -> None:
    assert entry["version"] and entry["licence"]
    files = entry["files"]
    assert isinstance(files, dict)
    assert any(Path(name).name.startswith("LICENSE") for name in files)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_no_template_needs_more_than_the_policy_allows(template: Path) -> None:
    text = template.read_text("utf-8")
    assert [what for what, pattern in INLINE.items() if pattern.search(text)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_every_icon_of_a_template_is_in_the_sprite(template: Path) -> None:
    used = set(re.findall(r'{% icon "([^"]+)"', template.read_text("utf-8")))
    assert used <= SYMBOLS


def test_the_sprite_has_the_listed_icons() -> None:
    assert set((ROOT / "frontend/icons.txt").read_text("utf-8").split()) == SYMBOLS


@pytest.mark.parametrize(
    "text",
    ["<script>x</script>", '<p style="x">', '<a onclick="x">', "<style>", '<img src="//cdn.example/x">'],
)
def test_what_is_inline_is_found(text: str) -> None:
    assert any(pattern.search(text) for pattern in INLINE.values())
