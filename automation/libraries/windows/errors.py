"""What can go wrong with Windows targets alone; the rest is in `automation.libraries.errors`."""

from __future__ import annotations

from automation.libraries.errors import EndMissing, LibraryError, ShellUnusable


class TLSUntrusted(LibraryError):
    """The target's certificate does not come from an authority that is trusted, so no credential was used.

    `presented` is the certificate that the target showed, in the form in which an `Endpoint` pins it.
    """

    code = "tls.untrusted"
    next_step = (
        "Give the target's group the certificate authority, or pin the certificate after comparing it."
    )

    def __init__(self, message: str, *, cause_hint: str = "", presented: str = "") -> None:
        super().__init__(message, cause_hint=cause_hint)
        self.presented = presented


class TLSExpired(TLSUntrusted):
    """The target's certificate is not valid at this time."""

    code = "tls.expired"
    next_step = "Renew the certificate on the target, and check the clocks of both machines."


class TLSNameMismatch(TLSUntrusted):
    """The target's certificate is for another name."""

    code = "tls.name_mismatch"
    next_step = "Use a name that the certificate holds as the target's address, or renew the certificate."


class TLSFailed(LibraryError):
    """No TLS connection came about."""

    code = "tls.failed"
    next_step = "Check that the port is the HTTPS one (5986) and that the target speaks TLS 1.2 or newer."


class TLSTimeout(LibraryError):
    """The target did not finish the TLS handshake in time."""

    code = "tls.timeout"
    next_step = "Check the load of the target and whether large packets get through (MTU)."


class AuthorityUnusable(LibraryError):
    """The certificates of the trusted authority cannot be read."""

    code = "tls.authority_unusable"
    next_step = "Give the authority's certificates as PEM text."


class LoginInsecure(LibraryError):
    """This way to log in would send the password or the work unprotected; nothing was sent."""

    code = "auth.insecure"
    next_step = "Use HTTPS with a verified certificate, or NTLM, Negotiate or Kerberos."


class KerberosFailed(LibraryError):
    """Kerberos gave no ticket for the target."""

    code = "kerberos.failed"
    next_step = "Check the realm, its key distribution centres and the target's name in the settings."


class KerberosUnavailable(LibraryError):
    """The Kerberos libraries are not installed here."""

    code = "kerberos.unavailable"
    next_step = "Install what requirements-kerberos.txt lists; it needs the system's krb5 libraries."


class KerberosUnreachable(LibraryError):
    """No key distribution centre answered."""

    code = "kerberos.no_kdc"
    next_step = "Check the realm's key distribution centres in the settings and the network to them."


class KerberosClockSkew(LibraryError):
    """The clocks of this machine, the key distribution centre and the target differ too much."""

    code = "kerberos.clock_skew"
    next_step = "Set the clocks right, by NTP for example: Kerberos allows five minutes."


class KerberosUnknown(LibraryError):
    """The realm does not know the login or the target's service."""

    code = "kerberos.unknown_principal"
    next_step = "Use the target's full name as its address, and write the login as name@REALM."


class NotWinRM(LibraryError):
    """Something else than WinRM answers on the port."""

    code = "winrm.not_winrm"
    next_step = "Check the port, and that WinRM listens on the target (`winrm quickconfig`)."


class WinRMUnavailable(LibraryError):
    """The target's web server answers, but not its WinRM service."""

    code = "winrm.unavailable"
    next_step = "Check that the service WinRM runs on the target and is not overloaded."


class WinRMBroken(LibraryError):
    """The target's answer could not be understood."""

    code = "winrm.protocol_error"
    next_step = "Look for a proxy or another program in between, and read WinRM's event log on the target."


class WinRMQuota(LibraryError):
    """The target's limit of shells or operations for this login is reached."""

    code = "winrm.quota"
    next_step = "Wait until other work has ended, or raise MaxShellsPerUser on the target."


class WinRMAccessDenied(LibraryError):
    """The login is right but may not use WinRM."""

    code = "winrm.access_denied"
    next_step = "Make the login a member of the target's Remote Management Users or Administrators."


class WinRMFault(LibraryError):
    """The target refused a request for a reason of its own."""

    code = "winrm.fault"
    next_step = "Look up the fault's number, and read WinRM's event log on the target."


class ShellLost(LibraryError):
    """The target does not know the shell or the command any more."""

    code = "winrm.shell_lost"
    next_step = "Look on the target how far the work came; an idle or ended shell takes its commands with it."
    sent = True


class ScriptInvalid(LibraryError):
    """The script or a parameter cannot be handed to PowerShell."""

    code = "script.invalid"
    next_step = "Save the script as UTF-8 text, and check the names and values of the parameters."


class PowerShellUnusable(ShellUnusable):
    """PowerShell on the target did not run what we asked for, so nothing was started."""

    next_step = "Check that the login may start powershell.exe, and that no policy restricts its language."


class PowerShellUnconfirmed(EndMissing):
    """PowerShell ended without the proof that the script ran to its end."""

    next_step = "Look on the target how far the script came; something may have ended its process."


CODES: tuple[str, ...] = (
    "tls.untrusted",
    "tls.expired",
    "tls.name_mismatch",
    "tls.failed",
    "tls.timeout",
    "tls.authority_unusable",
    "auth.insecure",
    "kerberos.failed",
    "kerberos.unavailable",
    "kerberos.no_kdc",
    "kerberos.clock_skew",
    "kerberos.unknown_principal",
    "winrm.not_winrm",
    "winrm.unavailable",
    "winrm.protocol_error",
    "winrm.quota",
    "winrm.access_denied",
    "winrm.fault",
    "winrm.shell_lost",
    "script.invalid",
)
"""The codes of this module. Like the others, one is never renamed or given a new meaning."""
