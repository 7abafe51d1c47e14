"""The emulated cmdlets of a server: event logs, web sites, the registry's few keys that are asked for."""

from __future__ import annotations

from typing import Any

from opsportal.simulated_windows.cmdlet import Cmdlet, Failed, Named, Playing, Run
from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.machine import Event, Machine
from opsportal.simulated_windows.things import Thing

MODULES = ("webadministration",)
PROGRAMS = ("quser", "quser.exe", "hostname", "hostname.exe")
SESSION_MANAGER = r"hklm:\system\currentcontrolset\control\session manager"


def get_winevent(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    asked = str(named.get("ListLog", named.get("LogName", "")))
    found = next((name for name in run.machine.events if name.lower() == asked.lower()), None)
    if found is None:
        raise Failed(
            f"{run.text} : There is not an event log on the {run.machine.name} computer that matches "
            f"'{asked}'.",
            category="ObjectNotFound: (:String) [Get-WinEvent], Exception",
            error_id="NoMatchingLogsFound,Microsoft.PowerShell.Commands.GetWinEventCommand",
        )
    events = run.machine.events[found]
    if "ListLog" in named:
        fields = {"LogMode": "Circular", "RecordCount": len(events), "LogName": found}
        return [Thing("System.Diagnostics.Eventing.Reader.EventLogConfiguration", fields)]
    newest = sorted(events, key=lambda event: event.at, reverse=True)
    return [_event(event, run.machine, found) for event in newest[: int(named.get("MaxEvents", len(newest)))]]


def _event(event: Event, machine: Machine, log: str) -> Thing:
    fields = {
        "TimeCreated": event.at,
        "Id": event.number,
        "LevelDisplayName": event.level,
        "ProviderName": event.provider,
        "Message": event.message,
        "LogName": log,
        "MachineName": machine.name,
    }
    return Thing(
        "System.Diagnostics.Eventing.Reader.EventLogRecord",
        fields,
        ("TimeCreated", "Id", "LevelDisplayName", "Message"),
    )


def import_module(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    if str(named.get("Name", "")).lower() not in MODULES:
        raise NotEmulated(run.text)
    return []


def get_website(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return [
        Thing("Microsoft.IIs.PowerShell.Framework.ConfigurationElement#site", {"Name": name, "State": state})
        for name, state in run.machine.sites.items()
    ]


def _each_site(state: str) -> Playing:
    def play(run: Run, named: Named, passed: list[Any]) -> list[Any]:
        name = str(named.get("Name", ""))
        if not run.machine.set_site(name, state):
            raise Failed(
                f"{run.text} : Cannot find path 'IIS:\\Sites\\{name}' because it does not exist.",
                category=f"ObjectNotFound: (IIS:\\Sites\\{name}:String) [{run.text.split()[0]}]",
                error_id="PathNotFound",
            )
        return []

    return play


def get_itemproperty(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    path = str(named.get("LiteralPath", named.get("Path", "")))
    if path.lower() != SESSION_MANAGER:
        raise NotEmulated(run.text)
    waiting = [r"\??\C:\Windows\Temp\old.dll", ""] if run.machine.reboot_pending else None
    return [Thing("System.Management.Automation.PSCustomObject", {"PendingFileRenameOperations": waiting})]


def get_command(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    name = str(named.get("Name", ""))
    if name.lower() in PROGRAMS:
        return [Thing("System.Management.Automation.ApplicationInfo", {"Name": name, "Source": name})]
    raise Failed(
        f"{run.text} : The term '{name}' is not recognized as the name of a cmdlet, function, script file, "
        "or operable program.",
        category=f"ObjectNotFound: ({name}:String) [Get-Command], CommandNotFoundException",
        error_id="CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand",
    )


SERVER_CMDLETS: dict[str, Cmdlet] = {
    "get-command": Cmdlet(get_command, ("Name", "CommandType")),
    "get-itemproperty": Cmdlet(get_itemproperty, ("Path", "LiteralPath")),
    "get-website": Cmdlet(get_website),
    "get-winevent": Cmdlet(get_winevent, ("LogName", "ListLog", "MaxEvents")),
    "import-module": Cmdlet(import_module, ("Name",)),
    "start-website": Cmdlet(_each_site("Started"), ("Name",)),
    "stop-website": Cmdlet(_each_site("Stopped"), ("Name",)),
}
