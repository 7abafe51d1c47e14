"""A workflow in a file: read as the portal reads it, and its errors told with the lines of that file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiworkflows.client_errors import InvalidRequestError
from automation.definitions.errors import DefinitionError
from automation.definitions.loading import Document, read_document, spell
from opsportal.commandline.exits import UsageError

ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A workflow by name, or with the definition that a file holds."""

    content: str | dict[str, Any]
    name: str = ""
    document: Document | None = None

    @contextmanager
    def placed(self) -> Iterator[None]:
        """What the portal finds wrong with the definition is told with file and line."""
        try:
            yield
        except InvalidRequestError as error:
            if self.document is None or error.code != DefinitionError.code:
                raise
            lines = {spell(path): line for path, line in self.document.lines.items()}
            error.detail = "\n".join(self._sentence(found, lines) for found in error.errors) or error.detail
            raise

    def _sentence(self, found: dict[str, Any], lines: dict[str, int]) -> str:
        path, message = str(found.get("path") or ""), str(found.get("message", ""))
        above = path
        while above not in lines and above:
            # A key that is missing stands nowhere; what lacks it does.
            above = above[: max(above.rfind("."), above.rfind("["), 0)]
        line = f", line {lines[above]}" if above in lines else ""
        return f"{self.name}{line}: {path}: {message}" if path else f"{self.name}{line}: {message}"


def read_workflow(text: str) -> Wanted:
    """A workflow's name, or the file of that name, if it ends in .yaml, .yml or .json. Raises UsageError."""
    path = Path(text)
    if path.suffix not in ENDINGS:
        return Wanted(text)
    try:
        document = read_document(path.read_text("utf-8"), origin=path.name)
    except OSError as error:
        raise UsageError(
            f"The workflow file {path} cannot be read: {error.strerror}.", "Check its name."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except DefinitionError as error:
        raise UsageError(str(error), "Correct the file.") from None
    if not isinstance(document.data, dict):
        raise UsageError(f"{path} holds no workflow.", "It must be an object with a name and steps.")
    return Wanted(document.data, path.name, document)
