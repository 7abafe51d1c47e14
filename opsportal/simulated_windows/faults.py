"""The faults of WS-Management, in the shapes in which real machines were recorded to answer.

Where no recording is known, the function says "assumed".
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from opsportal.simulated_windows.soap import NAMESPACES, Answer, envelope

FAULT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
ADDRESSING_FAULT = f"{NAMESPACES['a']}/fault"
WSMAN_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail"
WMI_ERROR = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"

OPERATION_TIMEOUT = 2150858793
NOT_FOUND = 2150858843
INVALID_PARAMETER = 87
NO_SUCH_PROGRAM = 2147942402
INVALID_HEADER = 2150858767
TOO_MANY_SHELLS = 2150859173
TOO_MANY_OPERATIONS = 2150859174
SCHEMA = 2150858817
ABORTED = 995
ENVELOPE_TOO_LARGE = 2150858990
ALREADY_EXISTS = 2147942583
UNSUPPORTED_ACTION = 2150858754

SELECTORS_TEXT = (
    "The WS-Management service cannot process the request because the request contained invalid selectors "
    "for the resource. "
)
COMMAND_TEXT = (
    "The Windows Remote Shell received a request to perform an operation on a command identifier that does "
    "not exist. Either the command has completed execution or the client specified an invalid command "
    "identifier. "
)
TIMEOUT_TEXT = (
    "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  "
)
SHELL_PROVIDER = ("Shell provider", r"%systemroot%\system32\WsmSvc.dll")
COMMAND_PROVIDER = ("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")


class WsmanFault(Exception):
    """An answer that is a fault. `detail` is the XML inside of `s:Detail`, MACHINE standing for the name."""

    def __init__(self, code: int, subcode: str, reason: str, *, detail: str, action: str = FAULT) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.detail = detail
        self.action = action

    @property
    def blames(self) -> str:
        ours = ("w:TimedOut", "w:InternalError")
        return "s:Receiver" if self.subcode in ours else "s:Sender"

    def answer(self, *, relates_to: str, machine: str) -> Answer:
        body = (
            f"<s:Fault><s:Code><s:Value>{self.blames}</s:Value>"
            f"<s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode></s:Code>"
            f'<s:Reason><s:Text xml:lang="en-US">{escape(self.reason)}</s:Text></s:Reason>'
            f"<s:Detail>{self.detail.replace('MACHINE', quoteattr(machine)[1:-1])}</s:Detail></s:Fault>"
        )
        return Answer(envelope(self.action, body, relates_to=relates_to, prefixes="s a x e n w p"), 500)


def _wsman(code: int, message: str, *, kind: str = "") -> str:
    """The usual detail. `message` is XML."""
    found = f"<w:FaultDetail>{DETAIL}/{kind}</w:FaultDetail>" if kind else ""
    return (
        f'{found}<f:WSManFault xmlns:f="{WSMAN_FAULT}" Code="{code}" Machine="MACHINE">'
        f"<f:Message>{message}</f:Message></f:WSManFault>"
    )


def _provider(provider: tuple[str, str], said: str) -> str:
    name, path = provider
    return f"<f:ProviderFault provider={quoteattr(name)} path={quoteattr(path)}>{said}</f:ProviderFault>"


def timed_out() -> WsmanFault:
    """Nothing to tell within the client's OperationTimeout; it is expected to ask again."""
    return WsmanFault(
        OPERATION_TIMEOUT, "w:TimedOut", TIMEOUT_TEXT, detail=_wsman(OPERATION_TIMEOUT, TIMEOUT_TEXT)
    )


def no_such_shell() -> WsmanFault:
    said = _provider(SHELL_PROVIDER, _wsman(NOT_FOUND, SELECTORS_TEXT))
    detail = _wsman(NOT_FOUND, said, kind="UnexpectedSelectors")
    return WsmanFault(NOT_FOUND, "w:InvalidSelectors", SELECTORS_TEXT, detail=detail)


def no_such_command() -> WsmanFault:
    detail = _wsman(NOT_FOUND, COMMAND_TEXT, kind="UnexpectedSelectors")
    return WsmanFault(NOT_FOUND, "w:InvalidSelectors", SELECTORS_TEXT, detail=detail)


def incorrect_parameter() -> WsmanFault:
    """Receive without the id of a command."""
    said = "The parameter is incorrect. "
    detail = _wsman(INVALID_PARAMETER, _provider(COMMAND_PROVIDER, said), kind="InvalidValue")
    return WsmanFault(INVALID_PARAMETER, "w:InvalidParameter", said, detail=detail)


def no_such_program() -> WsmanFault:
    """A program without its whole path, and no cmd.exe that would look for it."""
    said = "The system cannot find the file specified. "
    detail = _wsman(NO_SUCH_PROGRAM, _provider(COMMAND_PROVIDER, said))
    return WsmanFault(NO_SUCH_PROGRAM, "w:InternalError", said, detail=detail)


def invalid_header(said: str) -> WsmanFault:
    reason = (
        "The WS-Management service cannot process the request. "
        "The request contains one or more invalid SOAP headers. "
    )
    return WsmanFault(
        INVALID_HEADER,
        "a:InvalidMessageInformationHeader",
        reason,
        detail=_wsman(INVALID_HEADER, escape(said)),
        action=ADDRESSING_FAULT,
    )


def invalid_schema(said: str) -> WsmanFault:
    """The shape is assumed, the code is not."""
    return WsmanFault(
        SCHEMA, "w:SchemaValidationError", said, detail=_wsman(SCHEMA, escape(said), kind="InvalidValue")
    )


def aborted() -> WsmanFault:
    """A pending Receive of a command that another client ended. Its shape is assumed."""
    said = "The I/O operation has been aborted because of either a thread exit or an application request. "
    return WsmanFault(ABORTED, "w:InternalError", said, detail=_wsman(ABORTED, said))


def envelope_too_large() -> WsmanFault:
    """Code and shape are assumed."""
    said = (
        "The WS-Management service cannot process the request. The request is larger than MaxEnvelopeSize. "
    )
    return WsmanFault(
        ENVELOPE_TOO_LARGE,
        "w:EncodingLimit",
        said,
        detail=_wsman(ENVELOPE_TOO_LARGE, said, kind="MaxEnvelopeSize"),
    )


def already_exists(what: str) -> WsmanFault:
    """A ShellId or CommandId that is taken. Code and shape are assumed."""
    said = f"The {what} already exists. "
    return WsmanFault(ALREADY_EXISTS, "w:AlreadyExists", said, detail=_wsman(ALREADY_EXISTS, said))


def unsupported_action(action: str) -> WsmanFault:
    """The shape is assumed."""
    said = f"The simulated Windows target does not emulate the action {action}. "
    return WsmanFault(
        UNSUPPORTED_ACTION,
        "a:ActionNotSupported",
        said,
        detail=_wsman(UNSUPPORTED_ACTION, escape(said)),
        action=ADDRESSING_FAULT,
    )


def too_many_shells() -> WsmanFault:
    said = (
        "The WS-Management service cannot process the request. This user has exceeded the maximum number of "
        "concurrent shells allowed for this plugin. Close at least one open shell or raise the plugin quota "
        "for this user. "
    )
    return _quota(TOO_MANY_SHELLS, said)


def too_many_operations() -> WsmanFault:
    said = (
        "The WS-Management service cannot process the request. The maximum number of concurrent operations "
        "for this user has been exceeded. Close existing operations for this user, or raise the quota for "
        "this user. "
    )
    return _quota(TOO_MANY_OPERATIONS, said)


def _quota(code: int, said: str) -> WsmanFault:
    """Quotas come as an error of WMI, not as a WSManFault."""
    nothing = "ErrorSource OtherErrorSourceFormat OtherErrorType OwningEntity ProbableCauseDescription"
    fields = [
        ("CIMStatusCode", "cimUnsignedInt", "27"),
        ("CIMStatusCodeDescription", "cimString", None),
        *((name, "cimString", None) for name in nothing.split()),
        ("ErrorSourceFormat", "cimUnsignedShort", "0"),
        ("ErrorType", "cimUnsignedShort", "0"),
        ("Message", "cimString", said),
        ("MessageID", "cimString", f"HRESULT 0x{code:08x}"),
        ("PerceivedSeverity", "cimUnsignedShort", "0"),
        ("ProbableCause", "cimUnsignedShort", "0"),
        ("error_Category", "cimUnsignedInt", "30"),
        ("error_Code", "cimUnsignedInt", str(code)),
        ("error_Type", "cimString", "HRESULT"),
        ("error_WindowsErrorMessage", "cimString", said),
    ]
    inside = "".join(
        f'<p:{name} xsi:type="cim:{kind}" xsi:nil="true"/>'
        if text is None
        else f'<p:{name} xsi:type="cim:{kind}">{escape(text)}</p:{name}>'
        for name, kind, text in fields
    )
    detail = (
        '<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" '
        f'xmlns:p="{WMI_ERROR}" xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" '
        f'xsi:type="p:MSFT_WmiError_Type">{inside}</p:MSFT_WmiError>'
    )
    return WsmanFault(code, "w:QuotaLimit", said, detail=detail)
