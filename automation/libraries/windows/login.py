"""Proving who we are on a new connection, and sealing messages with the keys that this gave."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import struct
import tempfile
from collections.abc import Iterator

import spnego
import spnego.channel_bindings
import spnego.exceptions

from automation.libraries.errors import (
    AuthFailed,
    AuthKeyUnusable,
    AuthMethodUnavailable,
    CredentialMissing,
    CredentialUnfit,
    LibraryError,
    TargetInvalid,
)
from automation.libraries.types import Credentials
from automation.libraries.windows.errors import (
    KerberosClockSkew,
    KerberosFailed,
    KerberosUnavailable,
    KerberosUnknown,
    KerberosUnreachable,
    LoginInsecure,
    WinRMBroken,
    WinRMUnavailable,
)
from automation.libraries.windows.http import Answer, Link
from automation.libraries.windows.tls import channel_binding, descriptor_path
from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint

SOAP = "application/soap+xml;charset=UTF-8"
BY_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
LONGEST_LOGIN = 10
"""Round trips after which a login that does not end is broken. CredSSP needs about six."""
CREDSSP_PIECE = 16 * 1024
_BOUNDARY = "Encrypted Boundary"
_TOKEN = re.compile(r"(?i)^(?:Negotiate|Kerberos|CredSSP)\s+([A-Za-z0-9+/=]+)\s*$")
# Numbers of krb5.h and what they mean to an operator.
_KERBEROS_FAULTS: tuple[tuple[tuple[int, ...], type[LibraryError], str], ...] = (
    ((-1765328347, -1765328351), KerberosClockSkew, "The clocks differ too much for Kerberos"),
    ((-1765328228, -1765328164), KerberosUnreachable, "No key distribution centre of the realm answered"),
    ((-1765328230,), KerberosUnreachable, "The settings name no key distribution centre for the realm"),
    (
        (-1765328378, -1765328377),
        KerberosUnknown,
        "The realm does not know the login or the target's service",
    ),
    ((-1765328360, -1765328353), AuthFailed, "The realm did not accept the password"),
    ((-1765328366,), AuthFailed, "The account is disabled or locked in the realm"),
    ((-1765328361,), AuthFailed, "The password has expired in the realm"),
)


def refuse_insecure(endpoint: WinRMEndpoint, credentials: Credentials) -> None:
    """Raise what forbids this login before anything at all is sent."""
    if not endpoint.https and endpoint.method in ("basic", "certificate"):
        raise LoginInsecure(f"{endpoint.method.capitalize()} login over plain HTTP was refused")
    if endpoint.proxy and not endpoint.https:
        raise TargetInvalid("A proxy can be used with HTTPS alone")
    windows = credentials if isinstance(credentials, WindowsCredentials) else None
    if endpoint.method == "certificate":
        if windows is None or not windows.client_certificate or windows.private_key is None:
            raise CredentialUnfit("The method certificate needs a client certificate with a private key")
    elif endpoint.method == "kerberos" and windows is not None and windows.keytab is not None:
        return
    elif windows is not None and (windows.keytab is not None or windows.client_certificate):
        method = "kerberos" if windows.keytab is not None else "certificate"
        raise CredentialUnfit(
            f"This credential logs in with the method {method} alone",
            cause_hint=f"The target's method is {endpoint.method}",
        )
    elif credentials.password is None:
        raise CredentialMissing("There is no password to log in with")


class Login:
    """The login of one connection. Without a security context it only adds a header to each request."""

    def __init__(self, endpoint: WinRMEndpoint, credentials: Credentials) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._context: spnego.ContextProxy | None = None
        self._scheme = "CredSSP" if endpoint.method == "credssp" else "Negotiate"
        self._protocol = f"application/HTTP-{'CredSSP' if endpoint.method == 'credssp' else 'SPNEGO'}"
        self._protocol += "-session-encrypted"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        if self._endpoint.method == "certificate":
            return {"Authorization": BY_CERTIFICATE}
        if self._endpoint.method == "basic":
            password = self._credentials.password
            secret = password.reveal() if password is not None else ""
            pair = base64.b64encode(f"{self._credentials.username}:{secret}".encode()).decode("ascii")
            return {"Authorization": f"Basic {pair}"}
        return {}

    @property
    def sealed(self) -> bool:
        """Messages are encrypted."""
        return self._context is not None and self._endpoint.sealed

    def perform(self, link: Link, *, deadline: float) -> None:
        """Log in on a new connection, with requests that carry nothing else.

        Raises the errors of login, and what `Link.post` raises.
        """
        if self._endpoint.method in ("basic", "certificate"):
            return
        with _kerberos_words(), self._new_context(link) as context:
            token: bytes | None = None
            for _ in range(LONGEST_LOGIN):
                token = context.step(token)
                if token is None and context.complete:
                    break
                answer = self._offer(link, token or b"", deadline)
                token = _token_of(answer)
                if answer.status != 401:
                    if token is not None and not context.complete:
                        context.step(token)
                    break
                if token is None:
                    raise _refused(answer, self._scheme)
        if not context.complete:
            raise WinRMBroken("The target let us in before the login was done")
        self._context = context

    def _offer(self, link: Link, token: bytes, deadline: float) -> Answer:
        value = f"{self._scheme} {base64.b64encode(token).decode('ascii')}"
        answer = link.post(b"", {"Authorization": value, "Content-Type": SOAP}, deadline=deadline)
        if answer.status == 503:
            raise WinRMUnavailable("The target's WinRM service does not answer now (503)")
        if answer.status not in (200, 401):
            raise WinRMBroken(f"The target answered a login with HTTP status {answer.status}")
        if answer.status == 401 and not link.open:
            raise _refused(answer, self._scheme)
        return answer

    @contextlib.contextmanager
    def _new_context(self, link: Link) -> Iterator[spnego.ContextProxy]:
        endpoint, credentials = self._endpoint, self._credentials
        bindings = None
        if link.binding is not None:
            data = channel_binding(link.binding)
            bindings = spnego.channel_bindings.GssChannelBindings(application_data=data)
        wanted = spnego.ContextReq.default
        if endpoint.sealed:
            wanted |= spnego.ContextReq.confidentiality | spnego.ContextReq.integrity
        with _secret_of(credentials, endpoint) as (username, password):
            yield spnego.client(
                username,
                password,
                hostname=endpoint.service_name or endpoint.host,
                service="HTTP",
                protocol=endpoint.method,
                channel_bindings=bindings,
                context_req=wanted,
                options=spnego.NegotiateOptions.none,
            )

    def seal(self, message: bytes) -> tuple[bytes, str]:
        """The encrypted body of a message, and its content type."""
        kind = "multipart/encrypted"
        pieces = [message]
        if self._endpoint.method == "credssp" and len(message) > CREDSSP_PIECE:
            kind = "multipart/x-multi-encrypted"
            pieces = [message[at : at + CREDSSP_PIECE] for at in range(0, len(message), CREDSSP_PIECE)]
        body = b"".join(self._sealed_part(piece) for piece in pieces) + f"--{_BOUNDARY}--\r\n".encode()
        return body, f'{kind};protocol="{self._protocol}";boundary="{_BOUNDARY}"'

    def _sealed_part(self, piece: bytes) -> bytes:
        wrapped = self._known_context.wrap_winrm(piece)
        # What the cipher padded counts as part of the length.
        length = len(piece) + wrapped.padding_length
        head = (
            f"--{_BOUNDARY}\r\n\tContent-Type: {self._protocol}\r\n"
            f"\tOriginalContent: type={SOAP};Length={length}\r\n"
            f"--{_BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
        )
        return head.encode() + struct.pack("<i", len(wrapped.header)) + wrapped.header + wrapped.data

    def unseal(self, answer: Answer) -> bytes:
        """The message of an answer. Raises `WinRMBroken` where the target did not encrypt it rightly."""
        if self._protocol not in answer.content_type:
            # Anybody on the way could have written it; nothing in it counts.
            raise WinRMBroken("The target answered without encryption")
        parts = re.split(rb"--%b(?:--)?\r\n" % _BOUNDARY.encode(), answer.body)
        sealed = [part for part in parts if b"application/octet-stream\r\n" in part[:64]]
        try:
            return b"".join(self._unsealed(part) for part in sealed)
        except (struct.error, ValueError, spnego.exceptions.SpnegoError):
            raise WinRMBroken("The target's encrypted answer could not be read") from None

    def _unsealed(self, part: bytes) -> bytes:
        data = part.partition(b"application/octet-stream\r\n")[2]
        [size] = struct.unpack("<i", data[:4])
        if not 0 <= size <= len(data):
            raise ValueError(size)
        return self._known_context.unwrap_winrm(data[4 : 4 + size], data[4 + size :])

    @property
    def _known_context(self) -> spnego.ContextProxy:
        if self._context is None:
            raise WinRMBroken("There is no login on this connection")
        return self._context


@contextlib.contextmanager
def _secret_of(
    credentials: Credentials, endpoint: WinRMEndpoint
) -> Iterator[tuple[str | spnego.KerberosKeytab, str | None]]:
    """The login in the form that a security context takes."""
    keytab = credentials.keytab if isinstance(credentials, WindowsCredentials) else None
    if endpoint.method != "kerberos" or keytab is None:
        password = credentials.password
        yield credentials.username, password.reveal() if password is not None else None
        return
    try:
        data = base64.b64decode("".join(keytab.reveal().split()), validate=True)
    except (binascii.Error, ValueError):
        raise AuthKeyUnusable("The keytab is not base64") from None
    with tempfile.TemporaryFile() as file:  # without a name: nobody else can open it, a kill leaves nothing
        file.write(data)
        file.flush()
        place = descriptor_path(file.fileno())
        yield spnego.KerberosKeytab(keytab=f"FILE:{place}", principal=credentials.username), None


def _token_of(answer: Answer) -> bytes | None:
    for value in answer.headers.get_all("WWW-Authenticate") or []:
        found = _TOKEN.match(value)
        if found:
            try:
                return base64.b64decode(found.group(1), validate=True)
            except binascii.Error:
                raise WinRMBroken("The target's login token is no base64") from None
    return None


def _refused(answer: Answer, scheme: str) -> LibraryError:
    offered = [value.split(" ")[0] for value in answer.headers.get_all("WWW-Authenticate") or []]
    if offered and scheme.lower() not in [name.lower() for name in offered]:
        known = [name for name in offered if name.isalnum()][:5]
        return AuthMethodUnavailable(
            f"The target does not offer {scheme}", cause_hint=f"It offers {', '.join(known)}"
        )
    return AuthFailed("The target refused the login")


def refused_request(answer: Answer, endpoint: WinRMEndpoint) -> LibraryError:
    """What a 401 to a request on a connection that was logged in means."""
    schemes = {"basic": "Basic", "credssp": "CredSSP"}
    return _refused(answer, schemes.get(endpoint.method, "Negotiate"))


@contextlib.contextmanager
def _kerberos_words() -> Iterator[None]:
    """Faults of the security libraries in our own words; theirs may name files and hold secrets."""
    try:
        yield
    except (ImportError, spnego.exceptions.FeatureMissingError):
        raise KerberosUnavailable("Kerberos is not available here") from None
    except spnego.exceptions.SpnegoError as fault:
        raise explained(fault) from None
    except LibraryError:
        raise
    except Exception as fault:
        number = getattr(fault, "err_code", None)
        if number is None:
            raise
        raise explained(fault) from None


def explained(fault: BaseException) -> LibraryError:
    """A fault of the security libraries as one of the family."""
    numbers = set(_numbers(fault))
    for known, error, message in _KERBEROS_FAULTS:
        if numbers & set(known):
            return error(message)
    if isinstance(fault, spnego.exceptions.InvalidCredentialError):
        return AuthFailed("The login was refused")
    if numbers:
        return KerberosFailed("Kerberos gave no ticket", cause_hint=f"Its number is {min(numbers)}")
    return AuthFailed("The target and this machine did not agree on a login")


def _numbers(fault: BaseException | None) -> Iterator[int]:
    """The Kerberos numbers of a fault and of what caused it."""
    while fault is not None:
        for value in (fault, getattr(fault, "base_error", None)):
            for name in ("err_code", "min_code"):
                number = getattr(value, name, None)
                if isinstance(number, int) and number:
                    # GSSAPI tells the same numbers as unsigned ones.
                    yield number - 2**32 if number >= 2**31 else number
        fault = fault.__cause__ or fault.__context__
