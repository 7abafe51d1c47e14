"""What the target tells of its configuration, with every field that Windows has."""

from __future__ import annotations

from opsportal.simulated_windows.settings import Settings
from opsportal.simulated_windows.soap import CONFIG, element

UNLIMITED = "4294967295"
Fields = dict[str, "str | Fields"]
PORTS: Fields = {"HTTP": "5985", "HTTPS": "5986"}


def configuration(settings: Settings) -> str:
    """The `cfg:Config` element."""
    return f'<cfg:Config xmlns:cfg="{CONFIG}">{_inside(_fields(settings))}</cfg:Config>'


def _inside(fields: Fields) -> str:
    return "".join(
        element(f"cfg:{name}", value)
        if isinstance(value, str)
        else f"<cfg:{name}>{_inside(value)}</cfg:{name}>"
        for name, value in fields.items()
    )


def _flag(given: object) -> str:
    return "true" if given else "false"


def _fields(settings: Settings) -> Fields:
    logins = settings.logins
    offered: Fields = {
        "Basic": _flag(logins.basic),
        "Kerberos": _flag(logins.keytab),
        "Negotiate": _flag(logins.negotiate),
        "Certificate": _flag(logins.certificates),
        "CredSSP": _flag(logins.credssp),
    }
    return {
        "MaxEnvelopeSizekb": str(settings.quotas.envelope // 1024),
        "MaxTimeoutms": str(int(settings.quotas.longest_operation * 1000)),
        "MaxBatchItems": "32000",
        "MaxProviderRequests": UNLIMITED,
        "Client": _client(offered),
        "Service": _service(settings, offered),
        "Winrs": {
            "AllowRemoteShellAccess": "true",
            "IdleTimeout": str(int(settings.quotas.idle_timeout * 1000)),
            "MaxConcurrentUsers": "2147483647",
            "MaxShellRunTime": "2147483647",
            "MaxProcessesPerShell": "2147483647",
            "MaxMemoryPerShellMB": "2147483647",
            "MaxShellsPerUser": str(settings.quotas.shells_per_user),
        },
    }


def _client(offered: Fields) -> Fields:
    return {
        "NetworkDelayms": "5000",
        "URLPrefix": "wsman",
        "AllowUnencrypted": "false",
        "Auth": {"Digest": "false", **offered},
        "DefaultPorts": PORTS,
        "TrustedHosts": "",
    }


def _service(settings: Settings, offered: Fields) -> Fields:
    return {
        "RootSDDL": "",
        "MaxConcurrentOperations": UNLIMITED,
        "MaxConcurrentOperationsPerUser": str(settings.quotas.operations_per_user),
        "EnumerationTimeoutms": "240000",
        "MaxConnections": "300",
        "MaxPacketRetrievalTimeSeconds": "120",
        "AllowUnencrypted": _flag(settings.logins.allow_unencrypted),
        "Auth": {**offered, "CbtHardeningLevel": "Strict" if settings.logins.bound_to_tls else "None"},
        "DefaultPorts": PORTS,
        "IPv4Filter": "*",
        "IPv6Filter": "*",
        "EnableCompatibilityHttpListener": "false",
        "EnableCompatibilityHttpsListener": "false",
        "CertificateThumbprint": "",
        "AllowRemoteAccess": "true",
    }
