"""CLIXML as PowerShell writes it, whole and in pieces, and what is none."""

from __future__ import annotations

import pytest

from automation.libraries.windows.clixml import LONGEST_RECORD, ClixmlReader
from automation.libraries.windows.types import Record

OPEN = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
HEAD = f"#< CLIXML\r\n{OPEN}"
PROGRESS = (
    '<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T>'
    '<T>System.Object</T></TN><MS><I64 N="SourceId">1</I64></MS></Obj>'
)
LATER_PROGRESS = '<Obj S="progress" RefId="1"><TNRef RefId="0" /><MS><I64 N="SourceId">2</I64></MS></Obj>'


def text(kind: str, said: str) -> str:
    return f'<S S="{kind}">{said}_x000D__x000A_</S>'


def read(*pieces: str) -> list[Record | str]:
    reader = ClixmlReader()
    found = [part for piece in pieces for part in reader.feed(piece.encode())]
    return [*found, *reader.feed(b"", final=True)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (f"{HEAD}{PROGRESS}{LATER_PROGRESS}</Objs>", []),
        (
            HEAD
            + "".join(text(kind, kind[0]) for kind in ("Error", "warning", "verbose", "debug"))
            + "</Objs>",
            [Record("error", "E"), Record("warning", "w"), Record("verbose", "v"), Record("debug", "d")],
        ),
        (
            f"{HEAD}{text('Error', '_x001B_[31m_x0009_tab _x005F_x000D_')}</Objs>",
            [Record("error", "\x1b[31m\ttab _x000D_")],
        ),
        (
            f"{HEAD}{text('Error', 'one')}</Objs>{HEAD}{text('Error', 'two')}</Objs>",
            [Record("error", "one"), Record("error", "two")],
        ),
        (f"{HEAD}{text('Error', 'one')}</Objs>\r\nafter\r\n", [Record("error", "one"), "\r\nafter\r\n"]),
        (f"before\r\n{HEAD}{text('Error', 'one')}</Objs>", ["before\r\n", Record("error", "one")]),
        ("only text < & >", ["only text < & >"]),
        (f"{HEAD}{text('Error', '_xD83D__xDE42_')}</Objs>", [Record("error", "🙂")]),
    ],
    ids=["progress", "kinds", "escapes", "two blocks", "text after", "text before", "text", "pairs"],
)
def test_each_record_is_told_apart_and_decoded(sent: str, expected: list[Record | str]) -> None:
    assert read(sent) == expected
    assert "".join(map(str, read(*sent))) == "".join(map(str, expected))


def test_a_record_is_handed_on_before_its_block_ends() -> None:
    reader = ClixmlReader()
    sent = f"{HEAD}{text('warning', 'soon')}<S S="
    assert list(reader.feed(sent.encode())) == [Record("warning", "soon")]


def test_information_says_its_message() -> None:
    sent = (
        '<Obj S="information" RefId="0"><TN RefId="0">'
        "<T>System.Management.Automation.InformationRecord</T><T>System.Object</T></TN>"
        '<ToString>hey</ToString><Props><S N="MessageData">hey</S></Props></Obj>'
    )
    assert read(f"{HEAD}{sent}</Objs>") == [Record("information", "hey")]


def test_reading_that_begins_in_the_middle_finds_the_next_record() -> None:
    reader = ClixmlReader(resumed=True)
    sent = f"rest of it</S>{text('Error', 'next')}</Objs>"
    assert list(reader.feed(sent.encode()))[-1] == Record("error", "next")


@pytest.mark.parametrize("sent", [f'{HEAD}<S S="Error">&bad;</S></Objs>', f'{HEAD}<S S="Error">half'])
def test_what_is_no_xml_is_handed_on_as_it_came(sent: str) -> None:
    assert 'S="Error"' in "".join(map(str, read(sent)))


def test_a_record_without_an_end_does_not_fill_the_memory() -> None:
    reader = ClixmlReader()
    assert list(reader.feed(f'{HEAD}<S S="Error">'.encode())) == []
    said = "".join(map(str, reader.feed(b"x" * (LONGEST_RECORD + 1))))
    assert len(said) > LONGEST_RECORD
