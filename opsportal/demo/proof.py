"""The proof that a sandbox is one. Without it nothing may run in it: there is no fallback."""

from __future__ import annotations

import secrets
import shlex
import socket
import tempfile
from pathlib import Path

from opsportal.demo.hosts import copy_stand_ins, make_disk
from opsportal.demo.sandbox import NoSandbox, Sandbox, start

NAMESPACES = ("user", "pid", "net", "mnt", "ipc", "uts")
MOST_PROCESSES = 4  # its process 1, the shell that counts, and the shells that one may start
LOOK = """
printf 'name %%s\\n' "$(uname -n)"
set -- /proc/[0-9]*; [ $# -le %(most)d ] && echo few processes
while read -r line rest; do
    case $line in *:*) printf 'device %%s\\n' "${line%%%%:*}" ;; esac
done </proc/net/dev
for file in %(files)s; do [ -e "$file" ] && printf 'visible %%s\\n' "$file"; done
(exec 3<>/dev/tcp/127.0.0.1/%(port)d) 2>/dev/null && echo reached this machine
for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do
    (exec 3>>"$file") 2>/dev/null && printf 'writable %%s\\n' "$file"
done
echo ended
"""


async def prove(sandbox: Sandbox, *, name: str, hidden: list[Path]) -> None:
    """Raises NoSandbox unless it has all namespaces of its own, reaches no network and sees none of `hidden`.

    The namespaces are looked at from outside, the rest is tried inside, by the way every command takes.
    """
    for kind in NAMESPACES:
        try:
            if Path(f"/proc/{sandbox.pid}/ns/{kind}").readlink() == Path(f"/proc/self/ns/{kind}").readlink():
                raise NoSandbox(f"the sandbox shares this machine's {kind} namespace")
        except OSError as error:
            raise NoSandbox(f"the sandbox's {kind} namespace cannot be looked at: {error}") from None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        files = " ".join(shlex.quote(str(file.absolute())) for file in hidden if file.exists())
        look = LOOK % {
            "most": MOST_PROCESSES,
            "files": files,
            "port": listening.getsockname()[1],
        }
        found = (await sandbox.output(look)).splitlines()
    wanted = [f"name {name}", "few processes", "device lo", "ended"]
    if found != wanted:
        raise NoSandbox(f"the sandbox is not tight; inside of it was found: {'; '.join(found) or 'nothing'}")


def hidden_files() -> list[Path]:
    """Files and folders of this machine that no sandbox may see."""
    home = Path.home()
    return [Path(__file__), *([home] if home not in (Path("/"), Path("/root")) else []), Path("/etc/shadow")]


async def try_sandbox() -> None:
    """Make a sandbox, prove it, throw it away. Raises NoSandbox."""
    with tempfile.TemporaryDirectory(prefix="opsportal-practice-") as folder:
        root, name = Path(folder, "root"), f"probe-{secrets.token_hex(4)}"
        make_disk(root, name)
        sandbox = await start(root, name, copy_stand_ins(Path(folder)))
        try:
            await prove(sandbox, name=name, hidden=[*hidden_files(), root])
        finally:
            sandbox.end()
