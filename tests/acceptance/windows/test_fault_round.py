"""A seeded round of faults over a mixed fleet, through the whole product. Windows is simulated, WinRM is not.

While runs are carried out, requests to the Windows targets are dropped, delayed, refused with 503, answered
into the void or cut short, shells expire, and all workers are killed, twice. What the targets themselves saw
is then held against what the portal says.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from aiworkflows.automation_client import AutomationClient
from opsportal.simulated_windows import Break, Console, SimulatedWindows
from opsportal.simulated_windows.injection import Injected
from tests.acceptance.main_job.installation import Installation
from tests.acceptance.windows.conftest import kill_workers

SEED: Final = 2026
LIVE_RUNS: Final = 4
WINDOWS: Final = 3
FAULTS: Final = 8
"""On each Windows target."""
GAP: Final = (2, 8)
"""Requests from one fault to the next."""
KILLED_AFTER: Final = (2.5, 9.0)
WORKS_FOR: Final = 60.0
"""Seconds at most: a busy machine makes fewer requests in the same time."""
ENOUGH: Final = FAULTS * WINDOWS * 2 // 3
"""Of the faults that must have met a request."""
LINES: Final = 5
PAUSE: Final = 0.15
SECONDS_TO_SETTLE: Final = 90.0
WRONG: Final = (
    Break.DROP,
    Break.DELAY,
    Break.BUSY,
    Break.LOSE_REPLY,
    Break.LOSE_REPLY,
    Break.TRUNCATE,
    Break.EXPIRE,
)
FINAL: Final = {"succeeded", "partial", "failed"}
NOTHING_RAN: Final = {"blocked", "unreachable", "skipped"}
PRINTED: Final = [str(number) for number in range(LINES)]


@dataclass
class Fleet:
    """Simulated Windows targets that note what really ran on them."""

    targets: dict[str, SimulatedWindows] = field(default_factory=dict)
    started: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str) -> None:
        simulated = SimulatedWindows()
        simulated.start()
        simulated.programs.behaviours.add("Work-Slowly", self._work(name))
        self.targets[name] = simulated

    def _work(self, name: str) -> Callable[[Console], int]:
        def work(console: Console) -> int:
            what = (str(console.parameters["label"]), name)
            with self.lock:
                self.started[what] += 1
            for line in PRINTED:
                console.sleep(PAUSE)
                console.out(line)
            with self.lock:
                self.ended[what] += 1
            return 0

        return work

    def heal(self) -> None:
        for each in self.targets.values():
            each.injections.waiting.clear()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    fleet = Fleet()
    for number in range(1, WINDOWS + 1):
        fleet.add(f"faulty-{number}")
    yield fleet
    for each in fleet.targets.values():
        each.stop()


@pytest.fixture(scope="module")
def loaded(installation: Installation, fleet: Fleet) -> Installation:
    """The installation, which has one Linux target in the group web, with the fleet in that group too."""
    how = {"platform": "windows", "winrm": {"method": "ntlm", "https": False}, "role": "web"}
    login = {"user": "ops", "password": "Simulated-1"}
    rows = [
        {"name": name, "address": each.host, "port": each.port} | how | login
        for name, each in fleet.targets.items()
    ]
    installation.load({"hosts": rows})
    return installation


def workflow(effects: Path) -> dict[str, object]:
    note = f'echo "$label %s" >> "{effects}"'
    bash = f"{note % 'begin'}; for n in $(seq 0 {LINES - 1}); do sleep {PAUSE}; echo $n; done; {note % 'end'}"
    step = {"name": "work", "timeout": "30s", "run": {"bash": bash, "powershell": "Work-Slowly"}}
    rollout = {"canary": 0, "batches": ["100%"], "max_failures": "100%", "on_failure": "stop"}
    parameters = {"label": {"type": "string"}}
    return {"name": "round", "parameters": parameters, "rollout": rollout, "steps": [step]}


def put_on(fleet: Fleet, chance: random.Random) -> list[Injected]:
    """The faults of the seed: which requests of which target go wrong, counted from its first one."""
    faults = []
    for name in sorted(fleet.targets):
        skip = 0
        for _ in range(FAULTS):
            skip += chance.randint(*GAP)
            faults.append(fleet.targets[name].inject(chance.choice(WRONG), skip=skip, seconds=0.8))
    return faults


def hits_of(faults: list[Injected]) -> int:
    return sum(each.hit for each in faults)


def kill_now_and_then(installation: Installation) -> None:
    began = time.monotonic()
    for at in KILLED_AFTER:
        time.sleep(max(0.0, began + at - time.monotonic()))
        kill_workers(installation)


def work_on(operator: AutomationClient, runs: dict[str, int], definition: dict[str, object]) -> None:
    """Keep some runs alive for as long as faults come."""
    live = [number for number in runs.values() if operator.status(number).status not in FINAL]
    if len(live) >= LIVE_RUNS:
        time.sleep(0.2)
        return
    label = f"r{len(runs)}"
    runs[label] = operator.submit(definition, targets="group:web", parameters={"label": label}).id


def wait_for_all(operator: AutomationClient, runs: dict[str, int]) -> None:
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while time.monotonic() < deadline:
        if all(operator.status(number).status in FINAL for number in runs.values()):
            return
        time.sleep(0.3)
    raise AssertionError({label: operator.status(number) for label, number in runs.items()})


@pytest.mark.timeout(180)
def test_whatever_breaks_each_script_runs_at_most_once_and_its_end_is_told_rightly(
    loaded: Installation, operator: AutomationClient, fleet: Fleet, tmp_path: Path
) -> None:
    effects = tmp_path / "effects"
    runs: dict[str, int] = {}
    faults = put_on(fleet, random.Random(SEED))
    ends_at = time.monotonic() + WORKS_FOR
    with ThreadPoolExecutor(1) as beside:
        kills = beside.submit(kill_now_and_then, loaded)
        while time.monotonic() < ends_at and not (kills.done() and hits_of(faults) >= ENOUGH):
            work_on(operator, runs, workflow(effects))
        kills.result()
    hits = hits_of(faults)
    fleet.heal()
    wait_for_all(operator, runs)
    complaints = [text for label, run in runs.items() for text in judge(operator, run, label, fleet)]
    complaints += judge_linux(operator, runs, effects.read_text())
    ends = Counter((each.state, each.code) for run in runs.values() for each in operator.results(run))
    assert not complaints, ends
    assert hits >= ENOUGH, f"too few faults met a request: {hits}, {len(runs)} runs, {ends}"
    assert len(fleet.ended) >= WINDOWS, ends


def judge(operator: AutomationClient, run: int, label: str, fleet: Fleet) -> Iterator[str]:
    """What is wrong with the portal's account of the Windows targets."""
    incomplete = {event.target for event in operator.events(run) if event.code == "output.incomplete"}
    results = {result.target: result for result in operator.results(run)}
    for name in fleet.targets:
        if name not in results:
            yield f"{label} {name}: lost"
            continue
        state, code = results[name].state, results[name].code
        started, ended = fleet.started[label, name], fleet.ended[label, name]
        about = f"{label} {name}: {state} ({code}), started {started}, ended {ended}"
        if started > 1:
            yield f"{about}: ran twice"
        if ended and state != "succeeded":
            yield f"{about}: it came to its end"
        if state == "succeeded" and not ended:
            yield f"{about}: falsely green"
        if state in NOTHING_RAN and started:
            yield f"{about}: it ran"
        if state not in NOTHING_RAN | {"succeeded", "failed", "unknown"}:
            yield f"{about}: no such end can be"
        if state == "succeeded" and name not in incomplete:
            printed = b"".join(operator.logs(run, name, "work")).decode().split()
            if printed != PRINTED:
                yield f"{about}: printed {printed}"


def judge_linux(operator: AutomationClient, runs: dict[str, int], effects: str) -> Iterator[str]:
    """On the Linux target nothing was broken but the workers."""
    counted = Counter(effects.split("\n"))
    for label, run in runs.items():
        [state] = [each.state for each in operator.results(run) if not each.target.startswith("faulty")]
        if (state, counted[f"{label} begin"], counted[f"{label} end"]) != ("succeeded", 1, 1):
            yield f"{label} on Linux: {state}, {counted}"
