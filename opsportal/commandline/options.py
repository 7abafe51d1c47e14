"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
RunNumber = Annotated[int, typer.Argument(metavar="RUN", help="The run's number.", min=1)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the run's story.")]
Hold = Annotated[bool, typer.Option("--hold", help="Plan it and wait for `start`.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not follow it; exit code 0: it was taken.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", help="Follow for so many seconds; the run goes on.", min=0)
]
Parameters = Annotated[
    list[str], typer.Option("--parameter", "-p", help="name=text or name:=JSON; no secrets, others see them.")
]
ParameterFile = Annotated[
    Path | None, typer.Option("--parameters", help="A YAML or JSON file of them; - is standard input.")
]
Maintenance = Annotated[
    bool, typer.Option("--include-maintenance", help="Also targets that are in maintenance.")
]
