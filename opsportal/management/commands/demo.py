"""`manage.py demo`: the whole product on three practice hosts and a simulated Windows target.

`manage.py` has emptied the demo's folder by now, and holds it.
"""

import asyncio
import json
import os
import shutil
import sys
import threading
from argparse import ArgumentParser
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from opsportal.console import Console
from opsportal.demo import people, windows
from opsportal.demo.hosts import HOST, NAMES, PracticeHost, client_key, inventory, make_hosts
from opsportal.demo.mixed import publish_mixed
from opsportal.demo.paper import Paper
from opsportal.demo.proof import try_sandbox
from opsportal.demo.refusals import explain
from opsportal.demo.sandbox import NoSandbox
from opsportal.demo.story import Story, tell_safely
from opsportal.demo.windows import WindowsTarget, make_windows
from opsportal.processes import check_port, public_address, whole_portal
from opsportal.runbooks import publish_runbooks
from opsportal.start_checks import require_keys


class Command(BaseCommand):
    help = (
        "Shows everything at work on three practice hosts (sandboxes on this machine) and simulated Windows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once",
            action="store_true",
            help="Approve by itself, and end: 0 succeeded, 1 failed, 2 partial, 3 anything else.",
        )
        parser.add_argument("--port", type=int, default=settings.PORT, help="Default %(default)s.")
        parser.add_argument("--data", metavar="DIR", help="Wiped at each start (default var/demo/).")
        parser.add_argument(
            "--break",
            dest="broken",
            choices=NAMES,
            help="On this practice host the new nginx cannot be set up: see it fail and be undone.",
        )

    def handle(self, *, once: bool, port: int, broken: str | None, **options: object) -> None:
        os.umask(0o077)
        paper = Paper(sys.stdout)
        try:
            paper.progress("OpsPortal's demo: the product as it is, on three practice hosts on this machine")
            check_port(HOST, port)
            self._prove(paper)
            demo = _prepare(port, broken=broken)
            paper.progress(
                "Database, demo users, and an inventory of the practice hosts with trusted host keys"
            )
            _tell_port(paper, demo.windows)
        except KeyboardInterrupt:
            sys.exit(130)
        with (settings.DATA_DIR / "logs" / "demo.log").open("a", encoding="utf-8") as log:
            code = _run(demo, paper, Console(settings.DATA_DIR / "logs", log), once=once)
        paper.line("The demo has ended; nothing of it runs any more.")
        if once:
            sys.exit(code)

    def _prove(self, paper: Paper) -> None:
        try:
            asyncio.run(try_sandbox())
        except NoSandbox as error:
            raise CommandError(explain(str(error), bubblewrap=shutil.which("bwrap")), returncode=3) from None
        paper.progress("The sandbox is proven: own processes, no network, none of this machine's files")


@dataclass(frozen=True)
class Demo:
    """What was prepared, before anything runs."""

    port: int
    base: Path
    hosts: list[PracticeHost]
    windows: WindowsTarget
    passwords: dict[str, str] = field(repr=False)

    @property
    def address(self) -> str:
        return public_address(HOST, self.port)


def _prepare(port: int, *, broken: str | None) -> Demo:
    base = settings.DATA_DIR / "practice"
    (settings.DATA_DIR / "logs").mkdir(exist_ok=True)
    hosts = make_hosts(base, broken=broken)
    target = make_windows(base)
    call_command("migrate", interactive=False, verbosity=0)
    require_keys()
    passwords = people.make_people()
    publish_runbooks(author=people.admin())
    publish_mixed(author=people.admin())
    file = base / "inventory.json"
    file.write_text(json.dumps({"hosts": [*inventory(base, hosts)["hosts"], target.inventory()]}))
    with Path(os.devnull).open("w") as nothing:
        call_command("import_inventory", str(file), trust_host_keys=True, stdout=nothing)
    return Demo(port, base, hosts, target, passwords)


def _tell_port(paper: Paper, target: WindowsTarget) -> None:
    if target.port != windows.USUAL_PORT:
        paper.progress(
            f"Port {windows.USUAL_PORT} is taken by another program: {windows.NAME} gets port {target.port}"
        )


def _run(demo: Demo, paper: Paper, console: Console, *, once: bool) -> int:
    """The portal, the practice hosts and the story, until a signal or the end of the story; its exit code."""
    beside = [
        ("practice", ("practice_hosts", str(demo.base))),
        (windows.NAME, ("practice_windows", str(demo.base))),
    ]
    supervisor = whole_portal(console, host=HOST, port=demo.port, beside=beside)
    story = Story(
        address=demo.address,
        hosts=demo.hosts,
        windows=demo.windows,
        ai=people.ai_token(),
        approver=people.approver_token(),
        operator=people.operator_token(),
        password=demo.passwords[people.APPROVER],
        paper=paper,
        ready=supervisor.web_watch.ready,
        once=once,
    )
    connections.close_all()
    ending = threading.Event()

    def tell() -> None:
        tell_safely(story, ending)
        if ending.is_set():
            return
        _show_doors(paper, demo)
        if once:
            supervisor.finish()
        else:
            paper.heading("All of it stays up until Ctrl-C.")

    threading.Thread(target=tell, name="story", daemon=True).start()
    supervisor.run(demo.address, on_end=ending.set)
    return story.code


def _show_doors(paper: Paper, demo: Demo) -> None:
    paper.heading(f"The dashboard: {demo.address}  (name and password; they are for this demo only)")
    paper.fields(list(demo.passwords.items()))
    paper.heading("The practice hosts (sandboxes on this machine; apt and systemd in them are stand-ins)")
    for host in demo.hosts:
        paper.line(f"  {host.name}  http://{HOST}:{host.page}/  what its nginx answers")
    paper.heading(f"The simulated Windows target ({windows.WHAT_IT_IS})")
    paper.line(f"  {windows.NAME}  WinRM on {HOST}:{demo.windows.port}")
    last = demo.hosts[-1]
    ssh = "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    login = f"{ssh} -i {client_key(demo.base)} -p {last.ssh} ops@{HOST}"
    paper.heading("To see a target fail, and be undone")
    paper.line(f"  ./ops demo --break {last.name}        or, now, on {last.name}:")
    paper.line(f"  {login} 'sudo practice-fault reset; sudo practice-fault bad-package'")
    paper.line("  and ask for the update once more.")
