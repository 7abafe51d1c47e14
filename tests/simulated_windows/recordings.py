"""Recorded exchanges with real Windows machines, replayed to the simulated one.

They come out of pypsrp's source distribution, which pip fetches when the tests run; none is kept here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

PACKAGE = "pypsrp==0.9.1"
FOLDER = "tests/tests_pypsrp"
RESPONSES = f"{FOLDER}/responses"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
ACTION = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}Action"
RESOURCE = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}ResourceURI"
FAULT = "{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault"
ACTIVITY = "{http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd}ActivityId"
"""In the headers of newer Windows versions, and not always there: the one path that may differ."""
IDENTIFIER = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
SHELL_ID = re.compile(rf'Name="ShellId">({IDENTIFIER})<')
COMMAND_ID = re.compile(rf"<rsp:CommandId>({IDENTIFIER})<")

Paths = frozenset[str]


def fetch(folder: Path) -> Path:
    """The unpacked source distribution. Raises CalledProcessError where pip cannot get it."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-binary", "pypsrp", "--dest", str(folder), PACKAGE], check=True)
    (archive,) = folder.glob("pypsrp-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def parsed(message: str) -> ElementTree.Element:
    return ElementTree.fromstring(message)  # noqa: S314  # ours, or of a pinned package


@dataclass(frozen=True)
class Exchange:
    """One question and what real Windows answered."""

    request: str
    response: str

    @property
    def verb(self) -> str:
        return (parsed(self.request).findtext(f".//{ACTION}") or "").rpartition("/")[2]

    @property
    def resource(self) -> str:
        return parsed(self.request).findtext(f".//{RESOURCE}") or ""


def recording(source: Path, name: str) -> list[Exchange]:
    text = (source / RESPONSES / f"{name}.yml").read_text(encoding="utf-8")
    messages = yaml.load(text, Loader=yaml.CSafeLoader)["messages"]
    return [Exchange(message["request"], message["response"]) for message in messages if message["response"]]


def names(source: Path) -> list[str]:
    return sorted(file.stem for file in (source / RESPONSES).glob("test_*.yml"))


def paths(message: str) -> Paths:
    """Every path of elements and attributes in a message, but the one that differs among Windows versions."""
    return frozenset(_paths(parsed(message), ""))


def _paths(element: ElementTree.Element, above: str) -> Iterator[str]:
    if element.tag == ACTIVITY:
        return
    here = f"{above}/{element.tag}"
    yield here
    yield from (f"{here}@{name}" for name in element.attrib)
    for child in element:
        yield from _paths(child, here)


def kind(verb: str, answer: str) -> str:
    """What answers are compared by: the verb, and the code where it is a fault."""
    codes = [item.get("Code", "") for item in parsed(answer).iter(FAULT)]
    return f"{verb} fault {codes[0]}" if codes else verb


Compared = dict[str, set[str]]


def replay(exchanges: list[Exchange], ask: Callable[[str], str]) -> tuple[Compared, Compared]:
    """Paths by kind of answer: of the recording, and of what `ask` answers to the same questions."""
    recorded: Compared = defaultdict(set)
    ours: Compared = defaultdict(set)
    identifiers: dict[str, str] = {}
    for exchange in exchanges:
        recorded[kind(exchange.verb, exchange.response)] |= paths(exchange.response)
        question = _translated(exchange.request, identifiers)
        answer = ask(question)
        ours[kind(exchange.verb, answer)] |= paths(answer)
        for pattern in (SHELL_ID, COMMAND_ID):
            theirs, mine = pattern.search(exchange.response), pattern.search(answer)
            if theirs is not None and mine is not None:
                identifiers[theirs.group(1)] = mine.group(1)
        while exchange.verb == "Receive" and "/Done" in exchange.response and "/Running" in answer:
            answer = ask(re.sub(rf"uuid:{IDENTIFIER}", "uuid:00000000-0000-4000-8000-000000000000", question))
            ours[kind(exchange.verb, answer)] |= paths(answer)
    return recorded, ours


def _translated(text: str, identifiers: dict[str, str]) -> str:
    for theirs, mine in identifiers.items():
        text = text.replace(theirs, mine)
    return text
