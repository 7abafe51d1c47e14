"""The SSH server of a practice host: what it is asked to run, it runs in that host's sandbox only."""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
import os
from pathlib import Path
from typing import Any

import asyncssh

from opsportal.demo.hosts import LOGIN, PracticeHost, client_key, stand_ins
from opsportal.demo.proof import hidden_files, prove
from opsportal.demo.sandbox import Ended, HostGone, NoSandbox, Sandbox, signal_number, start

PIECE = 64 * 1024
RESTART_SECONDS = 1.0
SIGNAL_NAMES = {1: "HUP", 2: "INT", 3: "QUIT", 6: "ABRT", 9: "KILL", 11: "SEGV", 13: "PIPE", 15: "TERM"}
PAGE = "dpkg-query -W -f '${Version}' nginx && systemctl is-active -q nginx && printf ' active'"
logger = logging.getLogger(__name__)


class Login(asyncssh.SSHServer):
    """One connection: lets in who has the key, as LOGIN only."""

    def __init__(self, key: asyncssh.SSHKey, connections: set[asyncssh.SSHServerConnection]) -> None:
        self.key = key
        self.connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn
        self.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self.connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == LOGIN and key == self.key


class RunningHost:
    """A practice host that runs: sandbox, SSH server and page. It is restarted when its sandbox ends."""

    def __init__(self, host: PracticeHost, base: Path) -> None:
        self.host = host
        self.base = base
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.sandbox: Sandbox | None = None

    async def serve(self) -> None:
        """Until cancelled. Raises NoSandbox before anything listens, when there is no proven sandbox."""
        try:
            await self._boot()
            key = asyncssh.read_public_key(client_key(self.base).with_suffix(".pub"))
            listener = await asyncssh.create_server(
                lambda: Login(key, self.connections),
                "127.0.0.1",
                self.host.ssh,
                server_host_keys=[str(self.host.host_key(self.base))],
                process_factory=self._session,
                encoding=None,
                line_editor=False,
                allow_pty=False,
                login_timeout=20,
            )
            page = await asyncio.start_server(self._page, "127.0.0.1", self.host.page)
            async with listener, page:
                while self.sandbox is not None:
                    await self.sandbox.gone.wait()
                    await self._reboot()
        finally:
            if self.sandbox is not None:
                self.sandbox.end()

    async def _boot(self) -> None:
        sandbox = await start(self.host.root(self.base), self.host.name, stand_ins(self.base))
        try:
            await prove(sandbox, name=self.host.name, hidden=[*hidden_files(), self.base])
        except BaseException:  # cancelled too: what is not proven must not live
            sandbox.end()
            raise
        self.sandbox = sandbox
        logger.info("practice host %s runs, port %d", self.host.name, self.host.ssh)

    async def _reboot(self) -> None:
        logger.info("practice host %s went down", self.host.name)
        if self.sandbox is not None:
            self.sandbox.end()
            self.sandbox = None
        for connection in tuple(self.connections):
            connection.abort()
        booted = False
        while not booted:
            await asyncio.sleep(RESTART_SECONDS)
            try:
                await self._boot()
                booted = True
            except NoSandbox as error:
                logger.error("practice host %s does not come up: %s", self.host.name, error)

    async def _session(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        if process.subsystem is not None or self.sandbox is None:
            process.stderr.write(b"This is a practice host: it only runs commands.\n")
            process.exit(1)
            return
        try:
            await run_session(self.sandbox, process)
        except (HostGone, ValueError) as error:
            with contextlib.suppress(OSError, asyncssh.Error):
                process.stderr.write(f"practice host: {error or 'is going down'}\n".encode())
                process.exit(255)

    async def _page(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What a browser sees of this host's nginx, which is only played."""
        with contextlib.suppress(OSError, TimeoutError, HostGone):
            async with asyncio.timeout(10):
                await reader.readline()
                if self.sandbox is not None:
                    version, _, active = (await self.sandbox.output(PAGE)).partition(" ")
                    writer.write(page_answer(self.host.name, version, active=active == "active"))
                    await writer.drain()
        writer.close()


def page_answer(name: str, version: str, *, active: bool) -> bytes:
    """An HTTP answer."""
    title = f"Practice host {name}"
    state = f"nginx {html.escape(version)} is running" if active else "nginx is not running"
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{state}.</p><p>A practice host of <code>./ops demo</code>: "
        "a sandbox with stand-ins for apt and systemd.</p></html>\n"
    ).encode()
    status = "200 OK" if active else "503 Service Unavailable"
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Content-Security-Policy: default-src 'none'\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def run_session(sandbox: Sandbox, process: asyncssh.SSHServerProcess[bytes]) -> None:
    """One command, wired by pipes as sshd does it. A lost connection closes the pipes, and no more."""
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe(), os.pipe()
    ours = [os.fdopen(in_write, "wb", 0), os.fdopen(out_read, "rb", 0), os.fdopen(err_read, "rb", 0)]
    try:
        number, ended = sandbox.run(process.command, (in_read, out_write, err_write))
    except BaseException:  # cancelled too: nobody else closes them
        for end in ours:
            end.close()
        raise
    finally:
        for descriptor in (in_read, out_write, err_write):
            os.close(descriptor)
    writer = await _writer(ours[0])
    out, err = await _reader(ours[1]), await _reader(ours[2])
    feeding = asyncio.create_task(_feed(process, writer, sandbox, number))
    work = asyncio.gather(_copy(out[1], process.stdout), _copy(err[1], process.stderr), ended)
    gone = asyncio.ensure_future(process.channel.wait_closed())
    both: list[asyncio.Future[Any]] = [work, gone]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if work.done() and not gone.done():
            _say_end(process, work.result()[2])
    finally:
        for task in (feeding, work, gone):
            task.cancel()
        await asyncio.gather(feeding, work, gone, return_exceptions=True)
        if not writer.transport.is_closing():
            writer.transport.abort()
        for transport in (out[0], err[0]):
            transport.close()


def _say_end(process: asyncssh.SSHServerProcess[bytes], ended: Ended) -> None:
    if ended.signal is not None:
        process.exit_with_signal(SIGNAL_NAMES.get(ended.signal, "KILL"))
    else:
        process.exit(ended.code or 0)


async def _feed(
    process: asyncssh.SSHServerProcess[bytes], writer: asyncio.StreamWriter, sandbox: Sandbox, number: int
) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while True:
            try:
                data = await process.stdin.read(PIECE)
            except asyncssh.SignalReceived as received:
                if (wanted := signal_number(received.signal)) is not None:
                    sandbox.signal(number, wanted)
                continue
            if not data:
                break
            writer.write(data)
            await writer.drain()
    writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(PIECE):
        target.write(data)
        await target.drain()


async def _reader(end: Any) -> tuple[asyncio.ReadTransport, asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), end
    )
    return transport, reader


async def _writer(end: Any) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    # Its protocol is used for the flow control only; nothing is ever read.
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), end
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
