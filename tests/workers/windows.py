"""Simulated Windows targets in the inventory of a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from automation.models import Group, Target
from credentials.models import Credential
from credentials.secret import Secret
from opsportal.simulated_windows import Settings, SimulatedWindows


@dataclass
class WindowsFleet:
    """Rows for simulated Windows targets. Plain HTTP, so that every message is encrypted by the login."""

    started: list[SimulatedWindows] = field(default_factory=list)

    def add(
        self, name: str, *, group: str = "web", settings: Settings | None = None, **columns: Any
    ) -> SimulatedWindows:
        """Start one more and store its row."""
        simulated = SimulatedWindows(settings)
        simulated.start()
        self.started.append(simulated)
        given: dict[str, Any] = {"winrm": {"method": "ntlm", "https": False}, "credential": login()} | columns
        row = Target.objects.create(
            name=name,
            address=simulated.host,
            port=simulated.port,
            platform="windows",
            transport="winrm",
            **given,
        )
        row.groups.add(Group.objects.get_or_create(name=group)[0])
        return simulated

    def stop(self) -> None:
        for each in self.started:
            each.stop()


def login() -> Credential:
    """The user that a simulated target lets in."""
    found = Credential.objects.filter(name="windows login").first()
    if found is None:
        found = Credential(name="windows login", kind="password", username="ops")
        found.set_secrets(password=Secret("Simulated-1"))
    return found
