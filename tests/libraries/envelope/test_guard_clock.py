"""The guard's clock, on a machine that has only just started."""

import subprocess
import time
from pathlib import Path

import pytest

import automation.libraries

COMMON = Path(automation.libraries.__file__).with_name("guard") / "common.sh"
# Reckoning with it is what a broken number would end.
FIRST_SECONDS = 'until [ "${ops_now:-0}" -ge 150 ]; do ops_clock; echo "$((ops_now + 1))" >&4; done'


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_clock_goes_right_through_the_first_second_of_a_machine(shell: str) -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    time.sleep(1.02 - uptime % 1)
    # In a time namespace the machine has been up for what is left of the current second.
    started = subprocess.run(
        [
            "unshare",
            "--time",
            "--boottime",
            str(-int(uptime + 1)),
            shell,
            "-c",
            f"{COMMON.read_text()}{FIRST_SECONDS}",
        ],
        capture_output=True,
        timeout=20,
        check=False,
    )
    seen = [int(line) for line in started.stderr.split()]
    assert started.returncode == 0 and seen[-1] > 150
    assert seen == sorted(seen)
    assert any(80 < moment < 100 for moment in seen)
