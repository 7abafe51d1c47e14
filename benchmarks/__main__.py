"""`python -m benchmarks NAME`: what the product costs beside others. Nothing passes or fails."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import envelope, fanout, live, plan, planner, windows

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="ops bench", description=__doc__)
    parser.add_argument(
        "name",
        nargs="?",
        choices=["fanout", "envelope", "live", "plan", "planner", "windows"],
        default="fanout",
    )
    parser.add_argument("--targets", type=int, help="fanout, plan: how many (default: 200; plan 5000)")
    parser.add_argument("--steps", type=int, default=5, help="plan: of each target (default %(default)s)")
    parser.add_argument("--width", type=int, default=50, help="fanout: at once (default %(default)s)")
    parser.add_argument("--rounds", type=int, help="samples of each case (default: 5; envelope, windows 30)")
    parser.add_argument("--no-ansible", action="store_true", help="fanout: leave Ansible out")
    parser.add_argument("--readers", type=int, default=20, help="live: browsers (default %(default)s)")
    parser.add_argument("--lines", type=int, default=200, help="live: a round (default %(default)s)")
    parser.add_argument("--pause", type=float, default=0.05, help="live: seconds (default %(default)s)")
    parser.add_argument(
        "--requests", type=Path, default=planner.HELD_OUT, help="planner: another set (default %(default)s)"
    )
    parser.add_argument("--show", action="store_true", help="planner: tell each miss")
    parser.add_argument("--json", type=Path, help="where to write all samples (default var/benchmarks/)")
    given = parser.parse_args()
    data = Path(os.environ.get("OPSPORTAL_DATA") or ROOT / "var") / "benchmarks"
    json = given.json or data / f"{given.name}.json"
    if given.name == "planner":
        print(planner.run(json_file=json, requests=given.requests, show=given.show))
        return
    print(fanout.crowd(), flush=True)
    with tempfile.TemporaryDirectory(prefix="opsportal-bench-") as folder:
        if given.name == "envelope":
            print(envelope.run(rounds=given.rounds or 30, folder=Path(folder), json=json))
        elif given.name == "windows":
            print(windows.run(rounds=given.rounds or 30, folder=Path(folder), json=json))
        elif given.name == "live":
            asked = live.Wanted(
                readers=given.readers,
                lines=given.lines,
                pause=given.pause,
                rounds=given.rounds or 5,
                folder=Path(folder),
                json=json,
            )
            print(live.run(asked))
        elif given.name == "plan":
            sizes = plan.Wanted(
                targets=given.targets or 5000,
                steps=given.steps,
                rounds=given.rounds or 5,
                folder=Path(folder),
                json=json,
            )
            print(plan.run(sizes))
        else:
            wanted = fanout.Wanted(
                targets=given.targets or 200,
                width=given.width,
                rounds=given.rounds or 5,
                ansible=not given.no_ansible,
                folder=Path(folder),
                cache=data / "cache",
                json=json,
            )
            print(fanout.run(wanted))
    print(f"All samples: {json}")


if __name__ == "__main__":
    main()
