"""Servers that misbehave, on real sockets."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_RESOURCE_SHORTAGE, OPEN_SUCCEEDED
from paramiko.server import InteractiveQuery

from automation.libraries.host_identity import key_line
from automation.libraries.ssh_engine import QuietPacketizer
from automation.libraries.types import Endpoint

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Handles one connection; the event is set when the test is over."""


@contextmanager
def serving(behave: Behaviour) -> Iterator[int]:
    """A port on which each connection is treated by `behave`, in a thread of its own."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                behave(connection, over)
            except OSError:
                return  # the client hung up, as it should

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(None)
            threads.append(threading.Thread(target=handle, args=(connection,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        acceptor.join()
        for thread in threads:
            thread.join()
        listener.close()


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def saying(*pieces: bytes, pause: float = 0.0, then_close: bool = False) -> Behaviour:
    def behave(connection: socket.socket, over: threading.Event) -> None:
        for piece in pieces:
            connection.sendall(piece)
            if over.wait(pause):
                return
        if not then_close:
            over.wait(20)

    return behave


class Script(paramiko.ServerInterface):
    """What a fake SSH server allows; each answer can be held back until the test is over."""

    def __init__(self, over: threading.Event, behaviour: dict[str, object]) -> None:
        self.over = over
        self.behaviour = behaviour
        self.seen: list[str] = []

    def _hold(self, what: str) -> None:
        if self.behaviour.get("hold") == what:
            self.over.wait(20)

    def get_allowed_auths(self, username: str) -> str:
        return str(self.behaviour.get("allowed", "publickey,password"))

    def check_auth_none(self, username: str) -> int:
        self.seen.append("none")
        return AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.seen.append("publickey")
        self._hold("auth")
        return AUTH_SUCCESSFUL if self.behaviour.get("keys", True) else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.seen.append("password")
        self._hold("auth")
        good = "password" in self.get_allowed_auths(username) and password == "right"
        return AUTH_SUCCESSFUL if good else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        self.seen.append("keyboard-interactive")
        prompts = self.behaviour.get("prompts", (("Password: ", False),))
        query = InteractiveQuery("", "")
        for prompt in prompts:  # type: ignore[attr-defined]
            query.add_prompt(*prompt)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return AUTH_SUCCESSFUL if responses == ["right"] else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._hold("channel")
        if self.behaviour.get("refuse") == "channel":
            return OPEN_FAILED_RESOURCE_SHORTAGE
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.seen.append("exec")
        self._hold("exec")
        if self.behaviour.get("close") == "exec":
            channel.transport.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        return self.behaviour.get("refuse") != "exec"


class FakeSSH:
    """An SSH server in this process that records what clients ask of it."""

    def __init__(self, **behaviour: object) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.behaviour = behaviour
        self.scripts: list[Script] = []

    @property
    def host_key(self) -> str:
        return key_line(self.key.get_name(), self.key.asbytes())

    @property
    def seen(self) -> list[str]:
        return [what for script in self.scripts for what in script.seen]

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        transport = paramiko.Transport(connection, packetizer_class=QuietPacketizer)
        transport.set_log_channel("tests.fake_ssh")
        transport.add_server_key(self.key)
        ciphers = self.behaviour.get("ciphers")
        if ciphers:
            transport.get_security_options().ciphers = ciphers  # type: ignore[assignment]
        script = Script(over, self.behaviour)
        self.scripts.append(script)
        try:
            transport.start_server(event=threading.Event(), server=script)
            while not over.wait(0.01) and transport.is_active():
                if self.behaviour.get("close") == "login" and transport.is_authenticated():
                    break
        finally:
            transport.close()
            transport.join(5)

    @contextmanager
    def running(self) -> Iterator[Endpoint]:
        with serving(self) as port:
            yield Endpoint("127.0.0.1", port, (self.host_key,))


class Cable:
    """A connection through us to another port that can be cut without either end being told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cut = threading.Event()

    def __call__(self, near: socket.socket, over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as far:
            back = threading.Thread(target=self._carry, args=(far, near, over))
            back.start()
            self._carry(near, far, over)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket, over: threading.Event) -> None:
        source.settimeout(5)
        while not over.is_set():
            if self.cut.is_set():
                time.sleep(0.05)
                continue
            try:
                if not select.select([source], [], [], 0.05)[0]:
                    continue
                data = source.recv(65536)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if not self.cut.is_set():
                    sink.sendall(data)
            except (OSError, ValueError):
                return  # one end has gone
