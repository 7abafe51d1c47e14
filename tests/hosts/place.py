"""Where things are kept: the cached tree, and the folder, records and locks of one set of hosts."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.hosts.processes import HostsError, Process, write

DEFAULT_BASE = Path("/var/tmp/opsportal-hosts")


@dataclass(slots=True)
class HostRecord:
    """What is known of one host; written before anything of it is made, so that `down` finds all."""

    name: str
    role: str
    address: str
    veth: str
    disk_mb: int
    via: str | None = None
    host_key: str = ""
    faults: list[str] = field(default_factory=list)
    keeper: Process | None = None
    carrier: Process | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        keeper, carrier = Process.from_json(data["keeper"]), Process.from_json(data["carrier"])
        return cls(**{**data, "keeper": keeper, "carrier": carrier})


@dataclass(slots=True)
class SetRecord:
    """What is known of one set of hosts."""

    names: list[str]
    subnet: str
    inner_subnet: str
    password: str
    owner: Process | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "owner": Process.from_json(data["owner"])})


class Place:
    """The folders of one set of hosts, under a base that it shares with other sets."""

    def __init__(self, tag: str = "opsh", base: Path = DEFAULT_BASE) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{1,5}", tag):
            raise HostsError(f"tag {tag!r}: 2 to 6 small letters and digits, a letter first")
        self.base, self.tag = base.absolute(), tag
        self.cache = self.base / "cache"
        self.rootfs = self.cache / "rootfs"
        self.run = self.base / f"run-{tag}"
        self.bridge = f"{tag}br0"

    def folder(self, name: str) -> Path:
        return self.run / "hosts" / name

    def netns(self, name: str) -> str:
        return f"{self.tag}-{name}"

    @classmethod
    def all(cls, base: Path) -> list[Self]:
        """The place of every set under a base."""
        tags = [path.parent.name.removeprefix("run-") for path in sorted(base.glob("run-*/set.json"))]
        return [cls(tag, base) for tag in tags]

    def others(self) -> list[Self]:
        """The places of the other sets under the same base."""
        return [place for place in self.all(self.base) if place.tag != self.tag]

    def load_set(self) -> SetRecord | None:
        with contextlib.suppress(FileNotFoundError):
            return SetRecord.from_json(json.loads((self.run / "set.json").read_text()))
        return None

    def save_set(self, record: SetRecord) -> None:
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(self.run / "set.json", asdict(record))

    def load_host(self, name: str) -> HostRecord:
        return HostRecord.from_json(json.loads((self.folder(name) / "host.json").read_text()))

    def save_host(self, record: HostRecord) -> None:
        _replace(self.folder(record.name) / "host.json", asdict(record))

    @contextlib.contextmanager
    def lock(self, what: str) -> Iterator[None]:
        """One holder at a time, over all processes: of `tree`, `set-TAG`, or `host-TAG-NAME`."""
        folder = self.base / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / what).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _replace(path: Path, data: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    write(new, json.dumps(data, indent=1), 0o600)
    os.replace(new, path)  # noqa: PTH105  (a reader sees the old text or the new, never half)
