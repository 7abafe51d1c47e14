"""TLS to a target: verified by an authority, or by the one certificate or public key that was pinned."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from automation.libraries.deadlines import remaining
from automation.libraries.errors import AuthKeyUnusable, HostKeyChanged
from automation.libraries.types import Credentials
from automation.libraries.windows.errors import (
    AuthorityUnusable,
    TLSExpired,
    TLSFailed,
    TLSNameMismatch,
    TLSTimeout,
    TLSUntrusted,
)
from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint

# What OpenSSL calls the faults of a certificate (x509_vfy.h).
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64


def pin_of(certificate: bytes) -> str:
    """A certificate (DER) in the form in which an `Endpoint` pins it: `x509-sha256 <hex>`."""
    return f"x509-sha256 {hashlib.sha256(certificate).hexdigest()}"


def key_pin_of(certificate: bytes) -> str:
    """The public key of a certificate (DER) in that form: `spki-sha256 <hex>`; it outlives renewals."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = public.public_bytes(serialization.Encoding.DER, form)
    return f"spki-sha256 {hashlib.sha256(der).hexdigest()}"


def make_context(endpoint: WinRMEndpoint, credentials: Credentials) -> ssl.SSLContext:
    """What a connection to the endpoint accepts and shows. Raises `AuthorityUnusable`, `AuthKeyUnusable`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.host_keys:
        # The pin is checked after the handshake, before anything is sent.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif endpoint.authority:
        try:
            context.load_verify_locations(cadata=endpoint.authority)
        except (ssl.SSLError, ValueError):
            raise AuthorityUnusable("The trusted authority holds no readable certificate") from None
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if endpoint.method == "certificate" and isinstance(credentials, WindowsCredentials):
        _show_certificate(context, credentials)
    return context


def _show_certificate(context: ssl.SSLContext, credentials: WindowsCredentials) -> None:
    """OpenSSL reads files alone, so the key goes into one without a name that only this process can open."""
    key = b"" if credentials.private_key is None else credentials.private_key.reveal_bytes()
    phrase = None if credentials.passphrase is None else credentials.passphrase.reveal_bytes()
    with tempfile.TemporaryFile() as file:
        file.write(credentials.client_certificate.encode() + b"\n" + key)
        file.flush()
        try:
            # Without a passphrase OpenSSL would ask the terminal for one.
            context.load_cert_chain(descriptor_path(file.fileno()), password=phrase or b"")
        except (ssl.SSLError, OSError, ValueError):
            raise AuthKeyUnusable(
                "The client certificate and its private key do not fit each other"
            ) from None


def descriptor_path(descriptor: int) -> str:
    """The name under which this process alone opens a file that has none."""
    folder = "/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"
    return os.fspath(Path(folder) / str(descriptor))


def shake_hands(
    wire: socket.socket, context: ssl.SSLContext, endpoint: WinRMEndpoint, *, deadline: float
) -> ssl.SSLSocket:
    """The encrypted connection to the right machine.

    Raises `TLSTimeout`, `TLSFailed`, `TLSUntrusted`, `TLSExpired`, `TLSNameMismatch`, `HostKeyChanged`.
    """
    # The handshake needs several reads, each of which would get the whole time: a slow peer costs a few times
    # the deadline at the most.
    wire.settimeout(max(0.001, remaining(deadline)))
    try:
        secure = context.wrap_socket(wire, server_hostname=endpoint.host)
    except ssl.SSLCertVerificationError as fault:
        raise _untrusted(fault, endpoint) from None
    except TimeoutError:
        raise TLSTimeout("The target did not finish the TLS handshake in time") from None
    except ssl.SSLError as fault:
        raise TLSFailed("The target speaks no TLS that we accept", cause_hint=fault.reason or "") from None
    except OSError:
        raise TLSFailed("The target closed the connection during the TLS handshake") from None
    if endpoint.host_keys:
        _check_pins(secure, endpoint)
    return secure


def _check_pins(secure: ssl.SSLSocket, endpoint: WinRMEndpoint) -> None:
    certificate = secure.getpeercert(binary_form=True) or b""
    shown = (pin_of(certificate), key_pin_of(certificate))
    if not any(hmac.compare_digest(pin, own) for pin in endpoint.host_keys for own in shown):
        secure.close()
        raise HostKeyChanged(f"{endpoint} shows another certificate than the pinned one", presented=shown[0])


def _untrusted(fault: ssl.SSLCertVerificationError, endpoint: WinRMEndpoint) -> TLSUntrusted:
    hint = fault.verify_message[:1].upper() + fault.verify_message[1:].rstrip(".")
    if fault.verify_code in (_EXPIRED, _NOT_YET_VALID):
        return TLSExpired(f"The certificate of {endpoint} is not valid now", cause_hint=hint)
    if fault.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return TLSNameMismatch(f"The certificate of {endpoint} is for another name", cause_hint=hint)
    return TLSUntrusted(f"The certificate of {endpoint} is not trusted", cause_hint=hint)


def presented_by(wire: socket.socket, endpoint: WinRMEndpoint, *, deadline: float) -> str:
    """The certificate that the target shows, as a pin; empty when it shows none. Nothing is sent to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    wire.settimeout(max(0.001, remaining(deadline)))
    try:
        with context.wrap_socket(wire, server_hostname=endpoint.host) as secure:
            certificate = secure.getpeercert(binary_form=True)
    except OSError:
        return ""
    return pin_of(certificate) if certificate else ""


def channel_binding(secure: ssl.SSLSocket) -> bytes:
    """What ties a login to this TLS connection (RFC 5929, tls-server-end-point)."""
    certificate = secure.getpeercert(binary_form=True) or b""
    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        algorithm = None
    # The RFC replaces MD5 and SHA-1 by SHA-256.
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return b"tls-server-end-point:" + digest.finalize()
