"""The emulated cmdlets and programs: a small set that is told in full in CMDLETS below."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from opsportal.simulated_windows.cmdlet import Cmdlet, Failed, Named, Playing, Run
from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.machine import Machine, NoSuchService, Service
from opsportal.simulated_windows.object_cmdlets import OBJECT_CMDLETS
from opsportal.simulated_windows.server_cmdlets import SERVER_CMDLETS
from opsportal.simulated_windows.things import Thing, text_of

GIGABYTE = 1024**3
PENDING_KEYS = (r"\component based servicing\rebootpending", r"\windowsupdate\auto update\rebootrequired")
DATE_FORMATS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


def write_output(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    found = named.get("InputObject", passed)
    return found if isinstance(found, list) else [found]


def write_host(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    run.console.host(text_of(named.get("Object", passed)), end="" if named.get("NoNewline") else "\n")
    return []


def write_error(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    raise Failed(
        f"{run.text} : {text_of(named.get('Message', passed))}",
        category="NotSpecified: (:) [Write-Error], WriteErrorException",
        error_id="Microsoft.PowerShell.Commands.WriteErrorException",
    )


def write_warning(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    if str(run.variables["warningpreference"]).lower() == "continue":
        run.console.warning(text_of(named.get("Message", passed)))
    return []


def write_verbose(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    if named.get("Verbose") or str(run.variables["verbosepreference"]).lower() == "continue":
        run.console.record("verbose", text_of(named.get("Message", passed)))
    return []


def write_information(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    action = named.get("InformationAction", run.variables["informationpreference"])
    if str(action).lower() == "continue":
        run.console.record("information", text_of(named.get("MessageData", passed)))
    return []


def start_sleep(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    run.console.sleep(float(named.get("Seconds", 0)) + float(named.get("Milliseconds", 0)) / 1000)
    return []


def get_date(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    now = datetime.now(tz=UTC)
    wanted = named.get("Format")
    if wanted is None:
        return [now]
    if wanted in ("o", "O"):
        return [now.isoformat()]
    for theirs, ours in DATE_FORMATS.items():
        wanted = wanted.replace(theirs, ours)
    return [now.strftime(wanted)]


def hostname(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return [run.machine.name]


def _named_services(run: Run, named: Named, passed: list[Any]) -> list[Service]:
    asked = named.get("Name", [item.fields["Name"] if isinstance(item, Thing) else item for item in passed])
    try:
        return [run.machine.service(str(name)) for name in (asked if isinstance(asked, list) else [asked])]
    except NoSuchService as error:
        verb = run.text.split()[0]
        raise Failed(
            f"{run.text} : Cannot find any service with service name '{error}'.",
            category=f"ObjectNotFound: ({error}:String) [{verb}], ServiceCommandException",
            error_id="NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.GetServiceCommand",
        ) from error


def _service(service: Service) -> Thing:
    fields = {
        "Status": service.status,
        "Name": service.name,
        "DisplayName": service.display_name,
        "StartType": service.start_type,
    }
    return Thing("System.ServiceProcess.ServiceController", fields, ("Status", "Name", "DisplayName"))


def get_service(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    if "Name" not in named and not passed:
        return [_service(service) for service in run.machine.services.values()]
    return [_service(service) for service in _named_services(run, named, passed)]


def _each_service(change: Callable[[Machine, str], Service]) -> Playing:
    def play(run: Run, named: Named, passed: list[Any]) -> list[Any]:
        changed = [change(run.machine, service.name) for service in _named_services(run, named, passed)]
        return [_service(service) for service in changed] if named.get("PassThru") else []

    return play


def get_cim_instance(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    kind = str(named.get("ClassName", ""))
    match kind.lower():
        case "win32_operatingsystem":
            fields = {
                "Caption": "OpsPortal simulated Windows",
                "Version": "0.0.0",
                "CSName": run.machine.name,
                "LastBootUpTime": run.machine.booted,
            }
            return [Thing(kind, fields)]
        case "win32_logicaldisk":
            if named.get("Filter") not in (None, "DriveType = 3"):
                raise NotEmulated(run.text)
            disk = {"DeviceID": "C:", "VolumeName": "System", "DriveType": 3}
            return [Thing(kind, {**disk, "Size": 100 * GIGABYTE, "FreeSpace": 40 * GIGABYTE})]
        case "win32_loggedonuser":
            users = {user for user, *_ in run.machine.sessions}
            return [
                Thing(
                    kind, {"Antecedent": Thing("Win32_Account", {"Domain": run.machine.name, "Name": user})}
                )
                for user in sorted(users)
            ]
    raise NotEmulated(run.text)


def get_psdrive(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    if str(named.get("Name", "C")).upper() != "C" or str(named.get("PSProvider", "")) not in (
        "",
        "FileSystem",
    ):
        raise NotEmulated(run.text)
    fields = {"Name": "C", "Used": 60 * GIGABYTE, "Free": 40 * GIGABYTE, "Root": "C:\\"}
    return [Thing("System.Management.Automation.PSDriveInfo", fields)]


def sessions(machine: Machine) -> list[str]:
    """What quser.exe prints."""
    rows = [
        f" {user:<21} {session:<18} {number:<3} {state:<7} none       1/1/2026 8:00 AM"
        for user, session, number, state in machine.sessions
    ]
    return [" USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME", *rows]


def quser(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return list(sessions(run.machine))


def get_hotfix(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    wanted = named.get("Id")
    return [
        Thing(
            "Win32_QuickFixEngineering",
            {
                "Source": run.machine.name,
                "Description": fix.what,
                "HotFixID": fix.name,
                "InstalledOn": fix.installed,
            },
        )
        for fix in run.machine.hotfixes
        if wanted in (None, fix.name)
    ]


def restart_computer(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    run.machine.restart()
    return []


def _path(named: Named) -> str:
    return str(named.get("LiteralPath", named.get("Path", "")))


def _no_file(run: Run, path: str) -> Failed:
    return Failed(
        f"{run.text} : Cannot find path '{path}' because it does not exist.",
        category=f"ObjectNotFound: ({path}:String) [{run.text.split()[0]}], ItemNotFoundException",
        error_id="PathNotFound",
    )


def test_path(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    path = _path(named)
    if path.lower().startswith("hklm:"):
        return [path.lower().endswith(PENDING_KEYS) and run.machine.reboot_pending]
    return [run.machine.read(path) is not None]


def get_content(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    found = run.machine.read(_path(named))
    if found is None:
        raise _no_file(run, _path(named))
    return [found] if named.get("Raw") else list(found.splitlines())


def _written(run: Run, named: Named, passed: list[Any], *, append: bool) -> list[Any]:
    value = named.get("Value", passed)
    lines = value if isinstance(value, list) else [value]
    run.machine.write(_path(named), "".join(text_of(line) + "\r\n" for line in lines), append=append)
    return []


def set_content(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return _written(run, named, passed, append=False)


def add_content(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return _written(run, named, passed, append=True)


def new_item(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    path = _path(named)
    if str(named.get("ItemType", "File")).lower() != "file":
        raise NotEmulated(run.text)
    if not run.machine.create_new(path, text_of(named.get("Value"))):
        raise Failed(
            f"{run.text} : The file '{path}' already exists.",
            category=f"WriteError: ({path}:String) [New-Item], IOException",
            error_id="NewItemIOError,Microsoft.PowerShell.Commands.NewItemCommand",
        )
    return []


def remove_item(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    if not run.machine.remove(_path(named)):
        raise _no_file(run, _path(named))
    return []


def get_location(run: Run, named: Named, passed: list[Any]) -> list[Any]:
    return [Thing("PathInfo", {"Path": run.variables["pwd"]})]


CMDLETS: dict[str, Cmdlet] = {
    **OBJECT_CMDLETS,
    **SERVER_CMDLETS,
    "add-content": Cmdlet(add_content, ("Path", "Value", "LiteralPath", "Encoding"), ("Force",)),
    "get-ciminstance": Cmdlet(get_cim_instance, ("ClassName", "Filter")),
    "get-content": Cmdlet(get_content, ("Path", "LiteralPath", "Encoding"), ("Raw",)),
    "get-date": Cmdlet(get_date, ("Format",)),
    "get-hotfix": Cmdlet(get_hotfix, ("Id",)),
    "get-location": Cmdlet(get_location),
    "get-psdrive": Cmdlet(get_psdrive, ("Name", "PSProvider")),
    "get-service": Cmdlet(get_service, ("Name",)),
    "hostname": Cmdlet(hostname),
    "new-item": Cmdlet(new_item, ("Path", "ItemType", "Value", "LiteralPath"), ("Force",)),
    "quser": Cmdlet(quser),
    "remove-item": Cmdlet(remove_item, ("Path", "LiteralPath"), ("Force",)),
    "restart-computer": Cmdlet(restart_computer, (), ("Force",)),
    "restart-service": Cmdlet(_each_service(Machine.restart_service), ("Name",), ("Force", "PassThru")),
    "set-content": Cmdlet(set_content, ("Path", "Value", "LiteralPath", "Encoding"), ("Force",)),
    "start-service": Cmdlet(_each_service(Machine.start_service), ("Name",), ("PassThru",)),
    "start-sleep": Cmdlet(start_sleep, ("Seconds", "Milliseconds")),
    "stop-service": Cmdlet(_each_service(Machine.stop_service), ("Name",), ("Force", "PassThru")),
    "test-path": Cmdlet(test_path, ("Path", "LiteralPath")),
    "write-error": Cmdlet(write_error, ("Message",)),
    "write-host": Cmdlet(write_host, ("Object", "ForegroundColor"), ("NoNewline",), rest=True),
    "write-information": Cmdlet(write_information, ("MessageData",)),
    "write-output": Cmdlet(write_output, ("InputObject",), ("NoEnumerate",), rest=True),
    "write-verbose": Cmdlet(write_verbose, ("Message",)),
    "write-warning": Cmdlet(write_warning, ("Message",)),
}
ALIASES = {
    "cat": "get-content",
    "echo": "write-output",
    "gsv": "get-service",
    "hostname.exe": "hostname",
    "pwd": "get-location",
    "quser.exe": "quser",
    "select": "select-object",
    "sort": "sort-object",
    "where": "where-object",
    "sleep": "start-sleep",
}
