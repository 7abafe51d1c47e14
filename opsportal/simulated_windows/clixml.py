"""CLIXML, as powershell.exe writes it to stderr for all streams that are not its output."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

HEADER = "#< CLIXML\r\n"
OPENING = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
CLOSING = "</Objs>"
STREAMS = {"error": "Error", "warning": "warning", "verbose": "verbose", "debug": "debug"}
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x1f\x7f-\x9f]|[\U00010000-\U0010ffff]")


def encoded(text: str) -> str:
    """Text as a CLIXML string: control characters and halves of pairs as `_x000A_`."""

    def code(found: re.Match[str]) -> str:
        units = found.group().encode("utf-16-be")
        return "".join(f"_x{units[at]:02X}{units[at + 1]:02X}_" for at in range(0, len(units), 2))

    return escape(_ESCAPED.sub(code, text))


def record(stream: str, text: str) -> str:
    """One record: `error`, `warning`, `verbose`, `debug`, `information` or `progress`."""
    if stream == "information":
        return _information(text)
    if stream == "progress":
        return _progress(text)
    lines = text.split("\n")
    return "".join(f'<S S="{STREAMS[stream]}">{encoded(line)}_x000D__x000A_</S>' for line in lines)


def _information(text: str) -> str:
    return (
        '<Obj S="information" RefId="0"><TN RefId="0">'
        "<T>System.Management.Automation.InformationRecord</T><T>System.Object</T></TN>"
        f'<ToString>{encoded(text)}</ToString><Props><S N="MessageData">{encoded(text)}</S>'
        '<S N="Source">Write-Information</S></Props></Obj>'
    )


def _progress(activity: str) -> str:
    return (
        '<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T>'
        '<T>System.Object</T></TN><MS><I64 N="SourceId">1</I64><PR N="Record">'
        f"<AV>{encoded(activity)}</AV><AI>0</AI><Nil/><PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR>"
        "<SD> </SD></PR></MS></Obj>"
    )
