"""What can go wrong between this process and a target: one class and one stable code for each.

`sent` is the fact that decides about a retry. False: nothing of the caller's work reached the target, so
another try is safe. True: it may have started there, so it is never repeated blindly.

A message holds no secret and none of the target's own words beyond what names the fault.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class LibraryError(Exception):
    """The base of the family. `str()` says what happened, the likely cause, and what to do next.

    `message` and `cause_hint` are sentences without their final stop. `sent` overrides the class's own
    answer where the same fault can strike before or after the caller's work was sent.
    """

    code: ClassVar[str]
    next_step: ClassVar[str]
    sent: bool = False
    partial: Any = None
    """The `ExecutionResult` up to the fault, where an execution raised it."""
    hop: str = ""
    """The bastion on the way where it happened, by its name; empty for the target itself."""

    def __init__(self, message: str, *, cause_hint: str = "", sent: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause_hint = cause_hint
        if sent is not None:
            self.sent = sent

    def at(self, hop: str) -> Self:
        """The same, having happened at this bastion; the bastion nearest to the fault keeps the blame."""
        if not self.hop:
            self.hop = hop
            self.message = f"On the way, at bastion {hop}: {self.message}"
        return self

    def __str__(self) -> str:
        return " ".join(f"{part}." for part in (self.message, self.cause_hint) if part) + f" {self.next_step}"

    def as_dict(self) -> dict[str, str | bool]:
        """`code`, `hop`, `message`, `cause`, `next_step` and `sent`, for results and logs."""
        return {
            "code": self.code,
            "hop": self.hop,
            "message": self.message,
            "cause": self.cause_hint,
            "next_step": self.next_step,
            "sent": self.sent,
        }


class TargetInvalid(LibraryError):
    """The target's address could not be understood."""

    code = "target.invalid"
    next_step = "Write it as a name, name:port, an IPv4 address, or [IPv6 address]:port."


class ResolveFailed(LibraryError):
    """The name has no address."""

    code = "resolve.failed"
    next_step = "Check the spelling of the name and the name servers of this machine."


class ConnectTimeout(LibraryError):
    """No address of the target answered."""

    code = "connect.timeout"
    next_step = "Check that the target is up and that no firewall drops its port."


class ConnectRefused(LibraryError):
    """The target is there, but nothing listens on the port."""

    code = "connect.refused"
    next_step = "Check the port, and that the SSH server (or WinRM) runs on the target."


class ConnectUnreachable(LibraryError):
    """This machine has no way to the target."""

    code = "connect.unreachable"
    next_step = "Check the address, the routes and the network of this machine."


class BastionRefused(LibraryError):
    """A bastion let us in but does not forward to the next machine."""

    code = "bastion.forwarding_refused"
    next_step = "Allow it on the bastion: AllowTcpForwarding and PermitOpen of its SSH server."


class BastionUnreached(LibraryError):
    """A bastion forwards, but could not connect to the next machine."""

    code = "bastion.connect_failed"
    next_step = "Check from the bastion that the next machine is up and its address and port are right."


class BannerTimeout(LibraryError):
    """The port is open, but no complete SSH greeting came."""

    code = "ssh.banner_timeout"
    next_step = "Check that the SSH server on the target is not overloaded or frozen."


class NotSSH(LibraryError):
    """Something else than SSH answers on the port."""

    code = "ssh.not_ssh"
    next_step = "Check the port: another service listens there."


class NoCommonAlgorithm(LibraryError):
    """Both sides speak SSH but share no accepted algorithm."""

    code = "ssh.no_common_algorithm"
    next_step = "Update the SSH server on the target; SHA-1, CBC and DSA are not accepted."


class KeyExchangeTimeout(LibraryError):
    """The target greeted, then did not finish agreeing on keys."""

    code = "ssh.kex_timeout"
    next_step = "Check the load of the target and whether large packets get through (MTU)."


class ProtocolFault(LibraryError):
    """The target broke the SSH protocol or hung up before the login."""

    code = "ssh.protocol_error"
    next_step = "Read the SSH server's log on the target; MaxStartups or an access rule may have closed it."


class _HostKeyError(LibraryError):
    """`presented` is the key that the target showed, in the form in which an `Endpoint` holds it."""

    def __init__(self, message: str, *, cause_hint: str = "", presented: str = "") -> None:
        super().__init__(message, cause_hint=cause_hint)
        self.presented = presented


class HostKeyUnknown(_HostKeyError):
    """No host key is trusted for this target, so no credential was used."""

    code = "hostkey.unknown"
    next_step = "Compare the fingerprint with the target's own, then trust it."


class HostKeyChanged(_HostKeyError):
    """The target showed another host key than the trusted one, so no credential was used."""

    code = "hostkey.changed"
    next_step = "Find out why it changed before trusting the new one: it may be another machine."


class HostKeyRevoked(_HostKeyError):
    """The target showed a host key that was revoked, so no credential was used."""

    code = "hostkey.revoked"
    next_step = "Give the target a new host key: whoever has the old one can pose as it."


class HostCertificateInvalid(_HostKeyError):
    """The target showed a host certificate of a trusted authority that does not hold for it."""

    code = "hostkey.certificate_invalid"
    next_step = "Have the authority issue a host certificate that names this target and is valid now."


class KnownHostsUnusable(LibraryError):
    """The given known_hosts source cannot be read."""

    code = "hostkey.source_unusable"
    next_step = "Check that the file exists and is an OpenSSH known_hosts file."


class CredentialMissing(LibraryError):
    """There is neither a private key nor a password to log in with."""

    code = "credential.missing"
    next_step = (
        "Give the credential a private key or a password (for Windows also a keytab or a certificate)."
    )


class CredentialUnfit(LibraryError):
    """The credential is for another way to log in than the target's method."""

    code = "credential.unfit"
    next_step = "Change the target's login method, or give it a credential of the kind that the method takes."


class AuthKeyUnusable(LibraryError):
    """The private key cannot be read: wrong passphrase, or not a supported key."""

    code = "auth.key_unusable"
    next_step = "Give an Ed25519, ECDSA or RSA private key with the right passphrase."


class CertificateUnusable(LibraryError):
    """The user certificate cannot be read, is none for a login, or belongs to another key."""

    code = "auth.certificate_unusable"
    next_step = "Give the user certificate that was issued for this private key, or none."


class CertificateExpired(LibraryError):
    """The user certificate's time is over; nothing was tried."""

    code = "auth.certificate_expired"
    next_step = "Have the key signed anew, and give the credential the new certificate."


class CertificateNotYetValid(LibraryError):
    """The user certificate's time has not come; nothing was tried."""

    code = "auth.certificate_not_yet_valid"
    next_step = "Wait until it is valid, or check the clock of this machine."


class AuthFailed(LibraryError):
    """The target refused the login."""

    code = "auth.failed"
    next_step = (
        "Check the login name, the secret, and that the target's SSH server (or WinRM) allows this login."
    )


class AuthMethodUnavailable(LibraryError):
    """The target does not offer the ways to log in that the credential has."""

    code = "auth.method_unavailable"
    next_step = "Use a credential of a kind that the target allows."


class AuthTimeout(LibraryError):
    """The target did not decide about the login in time."""

    code = "auth.timeout"
    next_step = "Check the target's directory service and name servers, which a slow login waits for."


class ChannelRefused(LibraryError):
    """The target refused one more channel on this connection."""

    code = "channel.refused"
    next_step = "Raise MaxSessions of the target's SSH server, or run fewer commands at once."


class ChannelTimeout(LibraryError):
    """The target did not answer the request for a channel."""

    code = "channel.timeout"
    next_step = "Check the load of the target."


class ExecRefused(LibraryError):
    """The target opened a channel but refused to run a command in it; nothing was started."""

    code = "exec.refused"
    next_step = "Check that the login may run commands (an SFTP-only login may not)."


class ExecTimeout(LibraryError):
    """The target did not say whether it started the command; it may have."""

    code = "exec.timeout"
    next_step = "Look on the target whether the command ran before running it again."
    sent = True


class ConnectionLost(LibraryError):
    """The connection ended. Unless `sent` is False, the work may have run and may still run."""

    code = "connection.lost"
    next_step = "Look on the target how far the work came before running it again."
    sent = True


class ConnectionBusy(LibraryError):
    """All connections that may be open at once are in use."""

    code = "connection.busy"
    next_step = "Try again when other work has ended, or raise the limits."


class CommandTimeout(LibraryError):
    """The command did not end in its time."""

    code = "command.timeout"
    next_step = "Look on the target what the command waits for, or give it more time."
    sent = True


class CommandCancelled(LibraryError):
    """The command was stopped on request; it had been started."""

    code = "command.cancelled"
    next_step = "Look on the target how far it came."
    sent = True


class EndMissing(LibraryError):
    """The command's channel ended without the proof that the script ran to its end."""

    code = "command.unconfirmed"
    next_step = "Check that the login has bash, and no forced command or closed shell."
    sent = True


class ShellUnusable(LibraryError):
    """The login's shell did not run what we asked for, so nothing was started."""

    code = "shell.unusable"
    next_step = (
        "Check that the login has bash and may run `sh -c`, and that no forced command or closed shell is in "
        "the way."
    )


class SpoolUnusable(LibraryError):
    """The place for attempts on the target could not be written, so nothing could be proven."""

    code = "spool.unusable"
    next_step = "Make room on the target's disk, then look again."


class FactsUnreadable(LibraryError):
    """The target did not say of itself what every Linux can say."""

    code = "facts.unreadable"
    next_step = "Check that the login has a POSIX shell and may read /proc."


class OutputLimit(LibraryError):
    """The command wrote more than it may."""

    code = "output.limit"
    next_step = "Make the script say less, or raise the limit."
    sent = True


class BecomePasswordRequired(LibraryError):
    """sudo asked for a password that was not given; the script did not start."""

    code = "become.password_required"
    next_step = "Give the credential a sudo password, or allow this login NOPASSWD."


class BecomeFailed(LibraryError):
    """sudo refused; the script did not start."""

    code = "become.failed"
    next_step = "Allow this login in the target's sudoers."


CODES: tuple[str, ...] = (
    "target.invalid",
    "resolve.failed",
    "connect.timeout",
    "connect.refused",
    "connect.unreachable",
    "bastion.forwarding_refused",
    "bastion.connect_failed",
    "ssh.banner_timeout",
    "ssh.not_ssh",
    "ssh.no_common_algorithm",
    "ssh.kex_timeout",
    "ssh.protocol_error",
    "hostkey.unknown",
    "hostkey.changed",
    "hostkey.revoked",
    "hostkey.certificate_invalid",
    "hostkey.source_unusable",
    "credential.missing",
    "credential.unfit",
    "auth.key_unusable",
    "auth.certificate_unusable",
    "auth.certificate_expired",
    "auth.certificate_not_yet_valid",
    "auth.failed",
    "auth.method_unavailable",
    "auth.timeout",
    "channel.refused",
    "channel.timeout",
    "exec.refused",
    "exec.timeout",
    "connection.lost",
    "connection.busy",
    "command.timeout",
    "command.cancelled",
    "command.unconfirmed",
    "shell.unusable",
    "spool.unusable",
    "facts.unreadable",
    "output.limit",
    "become.password_required",
    "become.failed",
)
"""Every code there is. Callers store and compare these; one is never renamed or given a new meaning."""


SHORTEST_ECHO = 5
"""Shorter lines of ours are no secrets, and would be found in anything."""


def last_words(noise: bytes, *, sent: bytes) -> str:
    """What a target said instead of an answer: its last line as a sentence, cut, no control characters.

    A line that holds one of what was `sent` to it, or a part of one, is not repeated: it may be a secret.
    """
    lines = [line.strip() for line in noise.splitlines() if line.strip()]
    if not lines:
        return "It said nothing"
    ours = (line.strip() for line in sent.splitlines())
    if lines[-1] in sent or any(line in lines[-1] for line in ours if len(line) >= SHORTEST_ECHO):
        return "It sent back what it was sent"
    said = lines[-1].decode("utf-8", "replace")
    printable = "".join(letter if letter.isprintable() else "?" for letter in said)
    return f"It said: {printable[:200].rstrip('.')}"
