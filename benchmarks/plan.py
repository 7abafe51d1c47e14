"""From a submission to the frozen plan with all its rows, on each of the databases. Nothing runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Case, Column, table, write_json
from opsportal.data_directory import prepare
from tests.postgresql import PostgreSQL

ROOT = Path(__file__).resolve().parent.parent
PEER = "SQLite"
COLUMNS = [
    Column("freeze s", "freeze"),
    Column("write s", "write"),
    Column("both s", "both"),
    Column("both / SQLite", "both", PEER),
    Column("CPU s", "cpu"),
    Column("answer s", "answer"),
    Column("page s", "page"),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure. `folder` is empty and temporary."""

    targets: int
    steps: int
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    server = PostgreSQL.in_new_folder(durable=True)
    try:
        server.start()
        cases = [
            _measure(PEER, wanted, database=""),
            _measure("PostgreSQL", wanted, database=server.add_database("opsportal")),
        ]
    finally:
        server.remove()
    settings = {"targets": wanted.targets, "steps": wanted.steps}
    write_json(wanted.json, "plan", settings, cases)
    return f"{wanted.targets} targets x {wanted.steps} steps\n\n{table(cases, COLUMNS)}"


def _measure(name: str, wanted: Wanted, *, database: str) -> Case:
    """In a process of its own that has this database."""
    data = wanted.folder / name
    prepare(data, {})
    answer = data / "figures.json"
    asked = {"targets": wanted.targets, "steps": wanted.steps, "rounds": wanted.rounds, "answer": str(answer)}
    environment = _environment(data, database)
    code = f"from benchmarks.planning import measure; measure({json.dumps(asked)!r})"
    for words in (["migrate", "--verbosity", "0"], ["shell", "--no-imports", "-c", code]):
        subprocess.run([sys.executable, str(ROOT / "manage.py"), *words], env=environment, check=True)
    case = Case(name)
    rounds: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))
    for figures in rounds:
        case.add(**figures)
    return case


def _environment(data: Path, database: str) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPSPORTAL_", "DJANGO_", "Q_CLUSTER", "DATABASE_URL"))
    }
    return own | {"OPSPORTAL_DATA": str(data), "OPSPORTAL_LOG_LEVEL": "WARNING", "DATABASE_URL": database}
