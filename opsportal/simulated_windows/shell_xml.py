"""The bodies of the answers about shells and their commands."""

from __future__ import annotations

import base64
import os
import time
from xml.sax.saxutils import escape

from opsportal.simulated_windows.configuration import configuration
from opsportal.simulated_windows.running import STREAMS, Command, Shell, Taken
from opsportal.simulated_windows.settings import Settings
from opsportal.simulated_windows.soap import (
    COMMAND_SHELL,
    ENUMERATION,
    SHELL,
    TRANSFER,
    Answer,
    Request,
    element,
    envelope,
)

STATE = f"{SHELL}/CommandState"


def _since(moment: float) -> str:
    seconds = int(time.monotonic() - moment)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    return f"P{days}DT{hours % 24}H{minutes % 60}M{seconds % 60}S"


def _new_shell(shell: Shell) -> str:
    """As Create tells it."""
    variables = "".join(
        element("rsp:Variable", text, Name=name) for name, text in shell.place.environment.items()
    )
    parts = [
        element("rsp:ShellId", shell.id),
        element("rsp:ResourceUri", COMMAND_SHELL),
        element("rsp:Owner", shell.owner),
        element("rsp:ClientIP", shell.address),
        f"<rsp:Environment>{variables}</rsp:Environment>" if variables else "",
        element("rsp:WorkingDirectory", shell.place.directory) if shell.place.directory else "",
        element("rsp:IdleTimeOut", f"PT{shell.idle_timeout:.3f}S"),
        element("rsp:InputStreams", shell.input_streams),
        element("rsp:OutputStreams", shell.output_streams),
        element("rsp:ShellRunTime", _since(shell.created)),
        element("rsp:ShellInactivity", _since(shell.touched)),
    ]
    return f'<rsp:Shell xmlns:rsp="{SHELL}">{"".join(parts)}</rsp:Shell>'


def _known_shell(shell: Shell) -> str:
    """As Get and Enumerate tell it."""
    running = sum(command.running for command in shell.commands.values())
    fields = {
        "ShellId": shell.id,
        "ResourceUri": COMMAND_SHELL,
        "Owner": shell.owner,
        "ClientIP": shell.address,
        "ProcessId": str(os.getpid()),
        "IdleTimeOut": f"PT{shell.idle_timeout:.3f}S",
        "InputStreams": shell.input_streams,
        "OutputStreams": shell.output_streams,
        "MaxIdleTimeOut": "PT2147483.647S",
        "Locale": "en-US",
        "DataLocale": "en-US",
        "CompressionMode": "NoCompression",
        "ProfileLoaded": "Yes",
        "Encoding": "UTF8",
        "BufferMode": "Block",
        "State": "Connected",
        "ShellRunTime": _since(shell.created),
        "ShellInactivity": _since(shell.touched),
        "MemoryUsed": "1MB",
        "ChildProcesses": str(running),
    }
    inside = "".join(element(f"rsp:{name}", text) for name, text in fields.items())
    return f'<rsp:Shell xmlns:rsp="{SHELL}">{inside}</rsp:Shell>'


def shell_created(shell: Shell, request: Request) -> Answer:
    body = (
        f"<x:ResourceCreated><a:Address>{escape(request.to)}</a:Address><a:ReferenceParameters>"
        f"{element('w:ResourceURI', COMMAND_SHELL)}<w:SelectorSet>"
        f"{element('w:Selector', shell.id, Name='ShellId')}</w:SelectorSet></a:ReferenceParameters>"
        f"</x:ResourceCreated>{_new_shell(shell)}"
    )
    return _answer(f"{TRANSFER}/CreateResponse", body, request)


def command_created(command: Command, request: Request) -> Answer:
    body = f"<rsp:CommandResponse>{element('rsp:CommandId', command.id)}</rsp:CommandResponse>"
    return _answer(f"{SHELL}/CommandResponse", body, request)


def receive_answer(command: Command, taken: Taken, request: Request) -> Answer:
    pieces = [
        f'<rsp:Stream Name="{stream}" CommandId="{command.id}">{base64.b64encode(data).decode()}</rsp:Stream>'
        for stream, data in taken.pieces
    ]
    if taken.exit_code is None:
        state = f'<rsp:CommandState CommandId="{command.id}" State="{STATE}/Running"></rsp:CommandState>'
    else:
        pieces += [
            f'<rsp:Stream Name="{stream}" CommandId="{command.id}" End="true"></rsp:Stream>'
            for stream in STREAMS
        ]
        code = element("rsp:ExitCode", str(taken.exit_code))
        state = f'<rsp:CommandState CommandId="{command.id}" State="{STATE}/Done">{code}</rsp:CommandState>'
    body = f"<rsp:ReceiveResponse>{''.join(pieces)}{state}</rsp:ReceiveResponse>"
    return _answer(f"{SHELL}/ReceiveResponse", body, request, prefixes="s a w rsp p")


def send_answer(request: Request) -> Answer:
    return _answer(f"{SHELL}/SendResponse", "<rsp:SendResponse/>", request)


def signal_answer(request: Request) -> Answer:
    return _answer(f"{SHELL}/SignalResponse", "<rsp:SignalResponse/>", request)


def deleted(request: Request) -> Answer:
    return _answer(f"{TRANSFER}/DeleteResponse", "", request, prefixes="s a w p")


def get_answer(shell: Shell, request: Request) -> Answer:
    return _answer(f"{TRANSFER}/GetResponse", _known_shell(shell), request, prefixes="s a x w p")


def enumerate_answer(shells: list[Shell], request: Request) -> Answer:
    items = "".join(_known_shell(shell) for shell in shells)
    found = f"<w:Items>{items}</w:Items>" if items else ""
    body = (
        f"<n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext>{found}"
        "<w:EndOfSequence/></n:EnumerateResponse>"
    )
    return _answer(f"{ENUMERATION}/EnumerateResponse", body, request, prefixes="s a n w p")


def config_answer(settings: Settings, request: Request) -> Answer:
    """All of it; clients ask for how large an envelope may be."""
    return _answer(f"{TRANSFER}/GetResponse", configuration(settings), request, prefixes="s a x w p")


def _answer(action: str, body: str, request: Request, *, prefixes: str = "s a x w rsp p") -> Answer:
    return Answer(envelope(action, body, relates_to=request.message_id, prefixes=prefixes))
