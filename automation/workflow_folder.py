"""Workflows as a folder of YAML files, one each, to be kept in git."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import transaction

from automation.definitions.errors import DefinitionError, Finding
from automation.definitions.loading import MAX_TEXT_BYTES
from automation.definitions.schema import Workflow as Definition
from automation.definitions.schema import load_workflow
from automation.models import Workflow, WorkflowVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SUFFIXES = (".yaml", ".yml", ".json")


class FolderError(ValueError):
    """The folder, or something in it, cannot be used; the text has everything that is wrong."""


@dataclass(slots=True)
class Report:
    """Names of the workflows by what was done, or would be: `new`, `changed`, `unchanged`."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def export_workflows(folder: Path) -> list[Path]:
    """Write the newest version of every workflow into `folder`, which is made if need be.

    A file whose text is right already is left alone, other files too. Gives the files that were written.
    Raises FolderError.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for version in WorkflowVersion.objects.newest():
            file, text = folder / f"{version.workflow.name}.yaml", version.as_yaml().encode()
            if not file.exists() or file.read_bytes() != text:
                file.write_bytes(text)
                written.append(file)
    except OSError as error:
        raise FolderError(f"{error.filename or folder}: {error.strerror}.") from None
    return written


def import_workflows(folder: Path, *, author: User | None, dry_run: bool = False) -> Report:
    """Publish a version of each workflow in the folder that differs from its newest; all of them or none.

    Raises FolderError with everything that is wrong, line by line.
    """
    texts = _read(folder)
    report = Report()
    with transaction.atomic():
        for name, (text, definition) in texts.items():
            newest = WorkflowVersion.objects.newest().filter(workflow__name=name).first()
            if newest is not None and Definition.from_canonical(newest.definition) == definition:
                report.unchanged.append(name)
                continue
            (report.new if newest is None else report.changed).append(name)
            if not dry_run:
                Workflow.objects.publish(definition.canonical(), text=text, author=author)
    return report


def _read(folder: Path) -> dict[str, tuple[str, Definition]]:
    """The workflows by name, in order of their files."""
    if not folder.is_dir():
        raise FolderError(f"{folder} is no folder.")
    found: dict[str, tuple[str, Definition]] = {}
    files: dict[str, str] = {}
    wrong: list[str] = []
    for file in sorted(each for each in folder.iterdir() if each.suffix in SUFFIXES):
        try:
            text = _text(file)
            definition = load_workflow(text, origin=file.name)
        except DefinitionError as error:
            wrong.append(str(error))
            continue
        if definition.name in files:
            wrong.append(
                f"{file.name}: the workflow {definition.name} is in {files[definition.name]} already"
            )
        files[definition.name] = file.name
        found[definition.name] = (text, definition)
    if wrong:
        raise FolderError("\n".join(wrong))
    if not found:
        raise FolderError(f"There is no {' or '.join(SUFFIXES)} file in {folder}.")
    return found


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_TEXT_BYTES + 1)
        return raw.decode()
    except OSError as error:
        message = str(error.strerror)
    except UnicodeDecodeError:
        message = "is not UTF-8"
    raise DefinitionError([Finding(line=None, path="", message=message)], origin=file.name)
