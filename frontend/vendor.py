#!/usr/bin/env python3
"""Fetch the pinned packages and copy what pages load of them into static/vendor, noted in its VENDOR.json.

Needs npm and its registry, so it is run by hand when a version or the list of icons changes; the result is
committed. Entries of VENDOR.json that are not known here are kept.
"""

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENDOR = HERE.parent / "static" / "vendor"
SPRITE = "icons/sprite.svg"

# package, version, licence, {file in the package: file below static/vendor}
PACKAGES = [
    (
        "@tabler/core",
        "1.6.1",
        "MIT",
        {
            "dist/css/tabler.min.css": "tabler/tabler.min.css",
            "dist/js/tabler.min.js": "tabler/tabler.min.js",
        },
    ),
    (
        "htmx.org",
        "4.0.1",
        "0BSD",
        {"dist/htmx.min.js": "htmx/htmx.min.js", "LICENSE": "htmx/LICENSE"},
    ),
    ("@alpinejs/csp", "3.17.4", "MIT", {"dist/cdn.min.js": "alpine/alpine-csp.min.js"}),
    ("@tabler/icons", "3.51.0", "MIT", {"LICENSE": "icons/LICENSE"}),
]
# These packages name their licence and do not carry its text; it is kept here by hand.
KEPT = {"@tabler/core": ["tabler/LICENSE"], "@alpinejs/csp": ["alpine/LICENSE"]}


def fetch(package: str, version: str, into: Path) -> Path:
    """Unpack one package; the folder it is in."""
    command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", str(into)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = into.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return into / "package"


def sprite(icons: Path, names: list[str]) -> str:
    """One SVG with a symbol an icon; colour and stroke come from the page."""
    symbols = []
    for name in names:
        kind, _, plain = name.rpartition("/")
        source = (icons / "icons" / (kind or "outline") / f"{plain}.svg").read_text("utf-8")
        paths = re.findall(r"<(?:path|circle|rect|line|polyline)\b[^>]*/>", source)
        drawn = [path for path in paths if 'd="M0 0h24v24H0z"' not in path]
        symbols.append(f'<symbol id="{plain}" viewBox="0 0 24 24">{"".join(drawn)}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def copied(package: str, source: Path, files: dict[str, str]) -> list[str]:
    for inside, outside in files.items():
        place = VENDOR / outside
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((source / inside).read_bytes())
    names = [*files.values(), *KEPT.get(package, [])]
    if package == "@tabler/icons":
        wanted = (HERE / "icons.txt").read_text("utf-8").split()
        (VENDOR / SPRITE).write_text(sprite(source, sorted(set(wanted))), "utf-8")
        names.append(SPRITE)
    return names


def main() -> None:
    record = VENDOR / "VENDOR.json"
    entries = (
        {entry["name"]: entry for entry in json.loads(record.read_text("utf-8"))} if record.exists() else {}
    )
    for package, version, licence, files in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            names = copied(package, fetch(package, version, Path(folder)), files)
        hashes = {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in sorted(names)}
        entries[package] = {"name": package, "version": version, "licence": licence, "files": hashes}
    ordered = [entries[name] for name in sorted(entries)]
    record.write_text(json.dumps(ordered, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
