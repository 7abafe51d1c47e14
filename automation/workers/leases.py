"""Who holds what, and who is alive. The frame reports worker processes here."""

import time
from pathlib import Path

from django.conf import settings


def _heartbeats() -> Path:
    directory: Path = settings.DATA_DIR / "heartbeats"
    directory.mkdir(exist_ok=True)
    return directory


def worker_heartbeat(worker_id: str, cluster: str) -> None:
    """This worker command lives; called every 2 s."""
    (_heartbeats() / worker_id).write_text(cluster)


def end_leases(worker_id: str) -> None:
    """No process of this worker is left: what it held is free at once."""
    (_heartbeats() / worker_id).unlink(missing_ok=True)


def silent_workers(worker_ids: list[str], seconds: float) -> list[str]:
    """Those of the workers that have reported before, but not in the last seconds."""
    return [name for name in worker_ids if (age := _age(name)) is not None and age > seconds]


def fresh_clusters() -> set[str]:
    """Clusters with a worker heard of in the last 30 s."""
    files = [file for file in _heartbeats().iterdir() if (_age(file.name) or 0) < 30]
    return {file.read_text() for file in files}


def _age(worker_id: str) -> float | None:
    try:
        return time.time() - (_heartbeats() / worker_id).stat().st_mtime
    except FileNotFoundError:
        return None


def answer_probe(number: int) -> None:
    """The probe with this number came through its queue."""
    (settings.DATA_DIR / "probe").write_text(str(number))
