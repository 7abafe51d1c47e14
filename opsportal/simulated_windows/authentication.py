"""Who may log in to the simulated target, on one TCP connection, and by which security context."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import spnego
import spnego.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from spnego.channel_bindings import GssChannelBindings

from opsportal.simulated_windows.settings import DOMAIN, Settings

BASIC = 'Basic realm="WSMAN"'
BY_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
NTLM_TOKEN = b"NTLMSSP\x00"
NTLM_FILE = "NTLM_USER_FILE"
KEYTAB = "KRB5_KTNAME"
# A wrong password is a SpnegoError; bytes that are no token at all are any of the others.
BAD_LOGIN = (spnego.exceptions.SpnegoError, ValueError, LookupError, struct.error)


class Challenge(Exception):
    """Answer 401 with these `WWW-Authenticate` headers; on the same connection the client tries again."""

    def __init__(self, headers: list[str]) -> None:
        super().__init__("not logged in")
        self.headers = headers


class Acceptors:
    """Makes the security contexts of one target.

    pyspnego finds the users and keys of an acceptor by the process's environment alone. So one context at a
    time takes its step, in an environment that is put back afterwards.
    """

    _lock = threading.Lock()

    def __init__(self, settings: Settings) -> None:
        self.keytab = settings.logins.keytab
        self._folder = tempfile.TemporaryDirectory(prefix="simulated-windows-")
        self._users = Path(self._folder.name) / "users"
        self._users.touch(mode=0o600)
        self._users.write_text(_user_lines(settings), encoding="utf-8")
        self.bindings = _bindings(settings)

    def close(self) -> None:
        self._folder.cleanup()

    def context(self, scheme: str, token: bytes) -> spnego.ContextProxy:
        if scheme == "credssp":
            protocol, options = "credssp", spnego.NegotiateOptions.use_negotiate
        elif token.startswith(NTLM_TOKEN):
            protocol, options = "ntlm", spnego.NegotiateOptions.use_ntlm
        else:
            protocol, options = "negotiate", spnego.NegotiateOptions.use_negotiate
        with self._environment():
            return spnego.server(
                service="HTTP", protocol=protocol, options=options, channel_bindings=self.bindings
            )

    def step(self, context: spnego.ContextProxy, token: bytes) -> bytes | None:
        """Raises one of BAD_LOGIN."""
        with self._environment():
            return context.step(token)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        wanted = {NTLM_FILE: str(self._users)}
        if self.keytab is not None:
            wanted[KEYTAB] = str(self.keytab)
        with self._lock:
            before = {name: os.environ.get(name) for name in wanted}
            os.environ.update(wanted)
            try:
                yield
            finally:
                for name, value in before.items():
                    # Empty means unset to pyspnego; removed, it could break another thread's walk over all.
                    os.environ[name] = value or ""


def _bindings(settings: Settings) -> GssChannelBindings | None:
    """What a token must be bound to: the hash of the server's certificate (RFC 5929)."""
    if settings.certificate is None or not settings.logins.bound_to_tls:
        return None
    chain = x509.load_pem_x509_certificates(settings.certificate.chain.read_bytes())
    digest = chain[0].fingerprint(hashes.SHA256())
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)


def _user_lines(settings: Settings) -> str:
    """Each user in all the forms in which a client may name the domain."""
    domains = ("", DOMAIN, settings.name, socket.gethostname().upper(), ".")
    lines = [
        f"{domain}:{user}:{password}"
        for user, password in settings.logins.users.items()
        for domain in domains
    ]
    lines += [
        f":{user}@{DOMAIN}:{password}" for user, password in settings.logins.users.items() if "@" not in user
    ]
    return "\n".join(lines) + "\n"


class Authenticator:
    """The state of one connection. Basic and certificates are checked with every request."""

    def __init__(self, settings: Settings, acceptors: Acceptors, peer: bytes | None) -> None:
        self.settings = settings
        self.logins = settings.logins
        self.acceptors = acceptors
        self.peer = peer
        self.user = ""
        self.context: spnego.ContextProxy | None = None
        self.scheme = ""

    def authenticate(self, header: str) -> tuple[str, list[str]]:
        """The user's name, and the `WWW-Authenticate` headers that go with the answer. Raises Challenge."""
        scheme, _, token = header.partition(" ")
        scheme = scheme.lower()
        if scheme == "basic" and self.basic_offered:
            return self._basic(token), []
        if header == BY_CERTIFICATE and self.settings.tls:
            return self._by_certificate(), []
        if scheme in self._contexts_offered():
            return self._by_context(scheme, token)
        if not header and self.user:
            return self.user, []
        raise Challenge(self.offers())

    @property
    def basic_offered(self) -> bool:
        return self.logins.basic and (self.settings.tls or self.logins.allow_unencrypted)

    def _contexts_offered(self) -> list[str]:
        offered = ["negotiate"] if self.logins.negotiate else []
        if self.logins.negotiate and self.logins.keytab is not None:
            offered.append("kerberos")
        return [*offered, "credssp"] if self.logins.credssp else offered

    def offers(self) -> list[str]:
        names = {"negotiate": "Negotiate", "kerberos": "Kerberos", "credssp": "CredSSP"}
        offered = [names[scheme] for scheme in self._contexts_offered()]
        return [*offered, BASIC] if self.basic_offered else offered

    def _basic(self, token: str) -> str:
        try:
            user, _, password = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Challenge(self.offers()) from error
        expected = self.logins.users.get(user)
        if expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
            raise Challenge(self.offers())
        return user

    def _by_certificate(self) -> str:
        if not self.peer:
            raise Challenge(self.offers())
        names = x509.load_der_x509_certificate(self.peer).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        user = self.logins.certificates.get(str(names[0].value)) if names else None
        if user is None:
            raise Challenge(self.offers())
        return user

    def _by_context(self, scheme: str, token: str) -> tuple[str, list[str]]:
        try:
            asked = base64.b64decode(token, validate=True)
            if self.context is None or self.context.complete or self.scheme != scheme:
                self.context, self.scheme, self.user = self.acceptors.context(scheme, asked), scheme, ""
            answer = self.acceptors.step(self.context, asked)
        except BAD_LOGIN as error:
            self.context, self.user = None, ""
            raise Challenge(self.offers()) from error
        header = f"{scheme.capitalize() if scheme != 'credssp' else 'CredSSP'} "
        headers = [header + base64.b64encode(answer).decode()] if answer else []
        if not self.context.complete:
            raise Challenge(headers)
        self.user = plain_name(self.context.client_principal or "")
        return self.user, headers


def plain_name(principal: str) -> str:
    """The user alone, of `DOMAIN\\user` and `user@REALM`."""
    return principal.rpartition("\\")[2].partition("@")[0]
