"""Logging in: key, password, or questions that a password answers, all before one deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import paramiko
from paramiko.auth_handler import AuthHandler

from automation.libraries.deadlines import remaining
from automation.libraries.errors import (
    AuthFailed,
    AuthMethodUnavailable,
    AuthTimeout,
    ConnectionLost,
    CredentialMissing,
    LibraryError,
)
from automation.libraries.ssh_engine import EngineTransport
from automation.libraries.types import Credentials

KeyLoader = Callable[[Credentials], paramiko.PKey | None]
Attempt = Callable[[threading.Event], None]


def log_in(
    transport: EngineTransport, credentials: Credentials, *, load_key: KeyLoader, deadline: float
) -> None:
    """Log in, or raise one of `CredentialMissing`, `AuthKeyUnusable`, `AuthFailed`, `AuthMethodUnavailable`,
    `AuthTimeout`, `ConnectionLost`. The target's identity must have been verified before.

    No agent is asked and no key file looked for. Where the target wants several methods one after the
    other, they are given as far as the credentials have them.
    """
    login = _Login(transport, credentials, deadline)
    login.run(load_key(credentials))


class _Login:
    def __init__(self, transport: EngineTransport, credentials: Credentials, deadline: float) -> None:
        self._transport = transport
        self._credentials = credentials
        self._deadline = deadline
        self._allowed: list[str] | None = None  # not known before the target has refused once
        self._tried: list[str] = []
        self._asked_for_more = False
        self._password_given = False

    def run(self, key: paramiko.PKey | None) -> None:
        if key is None and self._credentials.password is None:
            raise CredentialMissing("The credential has neither a private key nor a password")
        for method, attempt in self._attempts(key):
            if self._allowed is not None and method not in self._allowed:
                continue
            if self._try(method, attempt):
                return
        raise self._refused()

    def _attempts(self, key: paramiko.PKey | None) -> Iterator[tuple[str, Attempt]]:
        name = self._credentials.username
        if key is not None:
            yield "publickey", lambda event: self._publickey(name, key, event)
        if self._credentials.password is not None:
            password = self._credentials.password.reveal()
            yield "password", lambda event: self._password(name, password, event)
            if "password" not in self._tried or self._still_wanted("keyboard-interactive"):
                yield "keyboard-interactive", lambda event: self._questions(name, event)

    def _still_wanted(self, method: str) -> bool:
        return self._allowed is not None and method in self._allowed and self._transport.is_active()

    def _publickey(self, name: str, key: paramiko.PKey, event: threading.Event) -> None:
        self._transport.auth_publickey(name, key, event)

    def _password(self, name: str, password: str, event: threading.Event) -> None:
        self._transport.auth_password(name, password, event, fallback=False)

    def _questions(self, name: str, event: threading.Event) -> None:
        handler = AuthHandler(self._transport)
        self._transport.auth_handler = handler
        handler.auth_interactive(name, self._answer, event, "")

    def _answer(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        """In the reader thread. One hidden question, once, is the password; anything else gets no answer."""
        if not prompts:
            return []
        password = self._credentials.password
        one_hidden = len(prompts) == 1 and not prompts[0][1]
        if password is None or not one_hidden or self._password_given:
            self._asked_for_more = True
            return [""] * len(prompts)
        self._password_given = True
        return [password.reveal()]

    def _try(self, method: str, attempt: Attempt) -> bool:
        self._tried.append(method)
        decided = threading.Event()
        try:
            attempt(decided)
        except (EOFError, OSError, paramiko.SSHException):
            raise ConnectionLost("The target hung up during the login", sent=False) from None
        if not decided.wait(remaining(self._deadline)):
            raise AuthTimeout(f"The target did not decide about the login ({method}) in time")
        if self._transport.is_authenticated():
            return True
        fault = self._transport.fault()
        if isinstance(fault, paramiko.BadAuthenticationType):  # of which partial success is one, too
            self._allowed = list(fault.allowed_types)
        elif not self._transport.is_active():
            raise self._hung_up(fault)
        return False

    def _hung_up(self, fault: Exception | None) -> LibraryError:
        if isinstance(fault, paramiko.AuthenticationException):
            return AuthMethodUnavailable("The key cannot sign in a way that the target accepts")
        return ConnectionLost(
            "The target hung up during the login",
            cause_hint="It may allow no more tries, or the account may be closed",
            sent=False,
        )

    def _refused(self) -> LibraryError:
        tried = ", ".join(self._tried)
        name = self._credentials.username
        if self._asked_for_more:
            return AuthFailed(
                f"The target asked {name} for more than a password",
                cause_hint="The password may be wrong or have expired, or a second factor is wanted",
            )
        if self._allowed is not None and not set(self._tried) & set(self._allowed):
            allowed = ", ".join(self._allowed)[:200]
            return AuthMethodUnavailable(f"The target allows {name} only: {allowed}; tried: {tried}")
        return AuthFailed(f"The target refused the login of {name} ({tried})")
