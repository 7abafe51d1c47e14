"""A seeded round of faults against the real product."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.chaos.portal import ROOT
from tests.hosts.fixtures import require_hosts

FAULTS, SEED = 50, 2026


@pytest.mark.hosts
@pytest.mark.timeout(960)
def test_fifty_faults_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    require_hosts()
    # A process of its own: the round works on a real installation, not on the tests' settings and database.
    round_of_faults = [sys.executable, "-m", "tests.acceptance.chaos", str(FAULTS), "--seed", str(SEED)]
    done = subprocess.run(
        [*round_of_faults, "--data", str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
