"""`python -m benchmarks NAME`: what the product costs beside others. Nothing passes or fails."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import envelope, fanout, idle, live, output, plan, planner, scale, start, steps, windows

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    given = _parser().parse_args()
    data = Path(os.environ.get("OPSPORTAL_DATA") or ROOT / "var") / "benchmarks"
    given.json = given.json or data / f"{given.name}.json"
    if given.name == "planner":
        print(planner.run(json_file=given.json, requests=given.requests, half=given.half, show=given.show))
        return
    print(fanout.crowd(), flush=True)
    with tempfile.TemporaryDirectory(prefix="opsportal-bench-") as folder:
        print(RUNS[given.name](given, Path(folder), data))
    print(f"All samples: {given.json}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ops bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted([*RUNS, "planner"]), default="fanout")
    parser.add_argument("--targets", type=int, help="how many (fanout 200, plan 5000, scale 2000, steps 20)")
    parser.add_argument("--steps", type=int, help="of each target (plan 5, steps 20)")
    parser.add_argument("--width", type=int, default=50, help="fanout, scale: at once (default %(default)s)")
    parser.add_argument(
        "--rounds", type=int, help="samples of each case (default: 3 to 5; envelope, windows 30)"
    )
    parser.add_argument("--no-ansible", action="store_true", help="fanout: leave Ansible out")
    parser.add_argument("--readers", type=int, default=20, help="live: browsers (default %(default)s)")
    parser.add_argument("--lines", type=int, default=200, help="live: a round (default %(default)s)")
    parser.add_argument("--pause", type=float, default=0.05, help="live: seconds (default %(default)s)")
    parser.add_argument("--runs", type=int, default=40, help="start: of each case (default %(default)s)")
    parser.add_argument("--megabytes", type=int, default=100, help="output: printed (default %(default)s)")
    parser.add_argument("--connections", type=int, default=500, help="idle: at rest (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="idle: a round (default %(default)s)")
    parser.add_argument(
        "--requests", type=Path, default=planner.HELD_OUT, help="planner: another set (default %(default)s)"
    )
    parser.add_argument(
        "--half", choices=["open", "blind"], default="", help="planner: that half of the set alone"
    )
    parser.add_argument("--show", action="store_true", help="planner: tell each miss")
    parser.add_argument("--json", type=Path, help="where to write all samples (default var/benchmarks/)")
    return parser


def _fanout(given: argparse.Namespace, folder: Path, data: Path) -> str:
    wanted = fanout.Wanted(
        targets=given.targets or 200,
        width=given.width,
        rounds=given.rounds or 5,
        ansible=not given.no_ansible,
        folder=folder,
        cache=data / "cache",
        json=given.json,
    )
    return fanout.run(wanted)


def _live(given: argparse.Namespace, folder: Path, _: Path) -> str:
    wanted = live.Wanted(
        readers=given.readers,
        lines=given.lines,
        pause=given.pause,
        rounds=given.rounds or 5,
        folder=folder,
        json=given.json,
    )
    return live.run(wanted)


def _plan(given: argparse.Namespace, folder: Path, _: Path) -> str:
    sizes = plan.Wanted(
        targets=given.targets or 5000,
        steps=given.steps or 5,
        rounds=given.rounds or 5,
        folder=folder,
        json=given.json,
    )
    return plan.run(sizes)


def _steps(given: argparse.Namespace, folder: Path, _: Path) -> str:
    wanted = steps.Wanted(
        targets=given.targets or 20,
        steps=given.steps or 20,
        rounds=given.rounds or 5,
        folder=folder,
        json=given.json,
    )
    return steps.run(wanted)


def _scale(given: argparse.Namespace, folder: Path, _: Path) -> str:
    wanted = scale.Wanted(
        targets=given.targets or 2000,
        width=given.width,
        rounds=given.rounds or 3,
        folder=folder,
        json=given.json,
    )
    return scale.run(wanted)


def _start(given: argparse.Namespace, folder: Path, _: Path) -> str:
    return start.run(start.Wanted(runs=given.runs, rounds=given.rounds or 3, folder=folder, json=given.json))


def _output(given: argparse.Namespace, folder: Path, _: Path) -> str:
    size = given.megabytes * output.MEBIBYTE
    return output.run(output.Wanted(size=size, rounds=given.rounds or 3, folder=folder, json=given.json))


def _idle(given: argparse.Namespace, folder: Path, _: Path) -> str:
    wanted = idle.Wanted(
        connections=given.connections,
        seconds=given.seconds,
        rounds=given.rounds or 3,
        folder=folder,
        json=given.json,
    )
    return idle.run(wanted)


def _envelope(given: argparse.Namespace, folder: Path, _: Path) -> str:
    return envelope.run(rounds=given.rounds or 30, folder=folder, json=given.json)


def _windows(given: argparse.Namespace, folder: Path, _: Path) -> str:
    return windows.run(rounds=given.rounds or 30, folder=folder, json=given.json)


RUNS = {
    "envelope": _envelope,
    "fanout": _fanout,
    "idle": _idle,
    "live": _live,
    "output": _output,
    "plan": _plan,
    "scale": _scale,
    "start": _start,
    "steps": _steps,
    "windows": _windows,
}
"""What each name measures: arguments, an empty folder, the folder that is kept; returns the table."""


if __name__ == "__main__":
    main()
