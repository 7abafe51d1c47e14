"""Commands about files: those that steps put on targets, and those that steps brought back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiworkflows.client_types import StoredFile
from opsportal.commandline.exits import UsageError
from opsportal.commandline.options import AsJson
from opsportal.commandline.session import session

COLUMNS = ("Number", "Name", "Bytes", "SHA-256", "From")


def files(
    *,
    name: Annotated[str | None, typer.Option(help="Those of this name.")] = None,
    run: Annotated[int | None, typer.Option(help="Those that this run's steps downloaded.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """List the portal's files, newest first; of several with one name runs take the newest."""
    with session(as_json=as_json) as (client, paper):
        found = client.files(name=name, run=run)
        if as_json:
            paper.json([dict(each.raw) for each in found])
        else:
            paper.table(COLUMNS, map(_cells, found))


def upload(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="At most 64 MiB.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Its name in workflows; without it, the file's own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a file in the portal, for steps that put it on targets."""
    with session(as_json=as_json) as (client, paper):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"The file {path} cannot be read: {error.strerror}.", "Check its name."
            ) from None
        stored = client.store_file(name or path.name, content)
        if as_json:
            paper.json(dict(stored.raw))
        else:
            paper.table(COLUMNS, [_cells(stored)])


def download(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `files` tells it.", min=1)],
    *,
    to: Annotated[Path, typer.Option("--to", help="A new file to write; `-` is standard output.")],
) -> None:
    """Bring a stored file here; one that is there already is not overwritten."""
    with session(as_json=False) as (client, paper):
        content = client.file_content(number)
        if str(to) == "-":
            paper.bytes(content)
            return
        try:
            with to.open("xb") as file:
                file.write(content)
        except OSError as error:
            raise UsageError(f"{to} cannot be written: {error.strerror}.", "Choose another place.") from None
        paper.say(f"{len(content)} bytes written to {to}")


def _cells(file: StoredFile) -> tuple[str, ...]:
    source = (
        f"run {file.run}, {file.target}, {file.step}" if file.run else str(file.raw.get("uploaded_by") or "")
    )
    return (str(file.id), file.name, str(file.size), file.sha256, source)
