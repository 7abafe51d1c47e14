"""Practice hosts: real bubblewrap, real SSH."""

from collections.abc import Iterator

import pytest

from tests.demo.practice import Practice, practice_host


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practice_host(tmp_path_factory.mktemp("practice") / "hosts") as running:
        yield running
