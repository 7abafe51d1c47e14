"""Reading an inventory file, whatever its format."""

from __future__ import annotations

from pathlib import Path

from automation.inventory_files.ansible import to_entries
from automation.inventory_files.ansible_ini import read_ini
from automation.inventory_files.ansible_yaml import read_yaml
from automation.inventory_files.csv_file import read_csv
from automation.inventory_files.json_file import read_json
from automation.inventory_files.mistakes import InventoryError, Mistake
from automation.inventory_files.rows import Entries, Inventory, check_entries

MAX_FILE_BYTES = 10 * 1024 * 1024
FORMATS = ("json", "csv", "ansible")


def read_inventory(raw: bytes, file_format: str, *, key_folder: Path | None = None) -> Inventory:
    """The rows of a file in one of FORMATS, and what is wrong with the rows that cannot be used.

    `key_folder` as in `check_entries`. Raises InventoryError where the file cannot be read at all.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise InventoryError([Mistake(f"larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InventoryError([Mistake("not text in UTF-8", line=line)]) from None
    if "\x00" in text:
        raise InventoryError([Mistake("not text: it holds NUL", line=text.split("\x00")[0].count("\n") + 1)])
    return check_entries(_entries(text, file_format), key_folder=key_folder)


def read_file(file: Path, file_format: str) -> Inventory:
    """The same from a file on this machine; private keys are named by paths that start at its folder."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise InventoryError([Mistake(f"larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")])
        raw = file.read_bytes()
    except OSError as error:
        raise InventoryError([Mistake(f"cannot be read: {error.strerror}")]) from None
    return read_inventory(raw, file_format, key_folder=file.parent)


def _entries(text: str, file_format: str) -> Entries:
    if file_format == "csv":
        return read_csv(text)
    if file_format == "json":
        return read_json(text)
    return to_entries(read_yaml(text) if _is_yaml(text) else read_ini(text))


def _is_yaml(text: str) -> bool:
    """Ansible's two forms are told apart by the first line that says something."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    return first == "---" or first.startswith("{") or (first.split(" #")[0].rstrip().endswith(":"))
