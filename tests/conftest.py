"""What every test needs. The environment of the tests is made in `tests/settings.py`."""

import os
import signal
from collections.abc import Generator

import pytest
from django.conf import settings


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test has failed: what it needs must be there."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


def pytest_configure() -> None:
    """Undo what a shell does to what it puts in the background: it ignores interrupts.

    Every server and script that we start would inherit that, and no script can undo it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL, leave out what only SQLite has: its twin is in tests/on_postgresql."""
    if settings.TEST_DATABASE_SERVER is None:
        return
    left_out = [item for item in items if item.get_closest_marker("sqlite")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> Generator[None, None, None]:
    """The server of the tests' database, where there is one; it ends after everything that uses it."""
    server = settings.TEST_DATABASE_SERVER
    if server is not None:
        server.start()
    yield
    if server is not None:
        server.stop()
