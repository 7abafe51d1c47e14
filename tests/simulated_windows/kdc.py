"""A real MIT Kerberos KDC on the loopback, for one realm."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

REALM = "SIMULATED.TEST"
SECONDS = 10.0


class Kdc:
    """Runs until `stop`; `environment` points MIT Kerberos to it.

    Raises RuntimeError where it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.keytab = folder / "service.keytab"
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{folder / 'cache'}",
        }
        (folder / "krb5.conf").write_text(self._client_settings(), encoding="utf-8")
        (folder / "kdc.conf").write_text(self._own_settings(), encoding="utf-8")
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.process = subprocess.Popen(
            [_program("krb5kdc"), "-n", "-r", REALM],
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _client_settings(self) -> str:
        return (
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
            " dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n"
            f"[domain_realm]\n localhost = {REALM}\n"
        )

    def _own_settings(self) -> str:
        return (
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{self.port}\n kdc_tcp_listen = 127.0.0.1:{self.port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {self.folder}/principal\n"
            f"  key_stash_file = {self.folder}/stash\n  max_life = 1h\n }}\n"
        )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [_program(program), *arguments],
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
            timeout=30,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("krb5kdc does not listen")

    def add_user(self, name: str, password: str) -> None:
        self._run("kadmin.local", "-r", REALM, "-q", f"addprinc -pw {password} {name}")

    def add_service(self, name: str) -> Path:
        """`HTTP/localhost`, say; its keys are in the keytab that comes back."""
        self._run("kadmin.local", "-r", REALM, "-q", f"addprinc -randkey {name}")
        self._run("kadmin.local", "-r", REALM, "-q", f"ktadd -k {self.keytab} {name}")
        return self.keytab

    def keep_keys(self, name: str, keytab: Path) -> None:
        """Write the keys that the principal has now into a keytab; its password stays good."""
        self._run("kadmin.local", "-r", REALM, "-q", f"ktadd -k {keytab} -norandkey {name}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=SECONDS)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise RuntimeError(f"{name} is missing: install the packages krb5-kdc and krb5-admin-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
