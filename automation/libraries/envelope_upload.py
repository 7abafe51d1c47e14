"""What the envelope sends: one command line for any login shell, and the bytes that go to its input.

The line is a single quoted word without newline, `!`, inner single quote or backslash, so that sh, bash,
csh and fish read it alike. It reads lines until one carries our mark: whatever comes before (a password
that sudo did not want) dies there. That line tells the nonce and the length of the guard, which follows.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from credentials.secret import Secret

Operation = Literal["probe", "run", "reclaim", "direct"]
Detach = Literal["scope", "session", "group"]
Guard = Literal["sh", "perl"]

SUDO_PROMPT = "opsportal-password:"
MAX_PAYLOAD = 16 * 1024 * 1024
_PARTS: dict[Operation, tuple[str, ...]] = {
    "probe": ("common", "probe", "main"),
    "run": ("common", "front", "keeper", "run", "main"),
    "reclaim": ("common", "front", "reclaim", "main"),
    "direct": ("common", "keeper", "run", "direct", "main"),
}
_BOOTSTRAP = (
    "unset ops_w ops_n ops_c ops_g; while read -r ops_w ops_n ops_c; do "
    'if [ "$ops_w" = opsportal-guard ]; then '
    'ops_g=$(dd bs="$ops_c" count=1 iflag=fullblock 2>/dev/null); '
    'if [ "${#ops_g}" = "$ops_c" ]; then eval "$ops_g"; exit 0; fi; exit 92; fi; done; exit 91'
)
# The same in Perl. The newline is `$/`, because fish would take a backslash for its own.
PERL_BOOTSTRAP = (
    '$buffer = ""; while (1) { while (($at = index($buffer, $/)) >= 0) { '
    '$line = substr($buffer, 0, $at + 1, ""); if ($line =~ /^opsportal-guard ([0-9a-f]+) ([0-9]+)$/) { '
    "($nonce, $want) = ($1, $2); while (length($buffer) < $want) { "
    "sysread(STDIN, $buffer, 65536, length($buffer)) || exit 92 } "
    'eval(substr($buffer, 0, $want, "")); exit 93 } } '
    "sysread(STDIN, $buffer, 65536, length($buffer)) || exit 91 }"
)
_HEX = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[0-9A-Za-z_.-]{1,128}")
_PATH = re.compile(r"/[0-9A-Za-z_./-]{0,1023}")


@dataclass(frozen=True, slots=True)
class Header:
    """The part of an order that the guard reads as words. Every field is checked here and on the target."""

    operation: Operation
    attempt: str = "0" * 32
    installation: str = "none"
    spool: str | None = None
    spool_id: str = "-"
    timeout: float = 0
    grace: float = 0
    output_limit: int = 0
    offsets: tuple[int, int] = (0, 0)
    forget: tuple[str, ...] = ()
    guard: Guard = "sh"
    detach: Detach | None = None

    def __post_init__(self) -> None:
        for attempt in (self.attempt, *self.forget):
            _require(_HEX, attempt, "an attempt")
        _require(_WORD, self.installation, "an installation")
        _require(_WORD, self.spool_id, "a spool id")
        if self.spool is not None:
            _require(_PATH, self.spool, "a spool path")
        if self.guard == "perl" and (self.operation != "run" or self.detach not in ("scope", "session")):
            raise ValueError("The guard in Perl runs scripts in a scope or a session of their own.")

    def encode(self, payload: bytes, *, become: bool) -> bytes:
        """The three lines of the header, for this payload."""
        words: tuple[object, ...] = (
            self.operation,
            self.attempt,
            self.installation,
            self.spool_id,
            self.detach or "auto",
            len(payload),
            hashlib.sha256(payload).hexdigest(),
            max(1, math.ceil(self.timeout)),
            math.ceil(self.grace),
            self.output_limit,
            *self.offsets,
            "yes" if become else "no",
            ".",
        )
        return f"{' '.join(map(str, words))}\n{self.spool or '-'}\n{' '.join(self.forget) or '-'}\n".encode()


@dataclass(frozen=True, slots=True)
class Upload:
    """All that one order sends, and the nonce by which its answers are known."""

    command: str
    nonce: str
    data: bytes


def build_upload(
    header: Header, payload: bytes = b"", *, become: bool, become_password: Secret | None = None
) -> Upload:
    """The command line and the bytes for its input; the payload gets the mark that shows it came whole.

    Raises `ValueError` for a payload with a NUL byte (no shell can hold one) or above 16 MiB.
    """
    if b"\0" in payload:
        raise ValueError("A script cannot hold a NUL byte.")
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"A script may have at most {MAX_PAYLOAD} bytes with its parameters.")
    if payload or header.operation in ("run", "direct"):
        payload += b"#" + header.attempt.encode()
    nonce = secrets.token_hex(16)
    guard = _perl_guard() if header.guard == "perl" else _guard(header.operation)
    start = f"opsportal-guard {nonce} {len(guard)}\n".encode()
    password = _password_line(become_password)
    return Upload(
        command=_command(_interpreter(header), become=become, password=bool(password)),
        nonce=nonce,
        data=b"".join((password, start, guard, header.encode(payload, become=become), payload)),
    )


def _interpreter(header: Header) -> str:
    if header.guard == "sh":
        return f"sh -c '{_BOOTSTRAP}'"
    perl = f"perl -e '{PERL_BOOTSTRAP}'"
    if header.detach != "scope":
        return perl
    attempt = header.attempt
    return (
        f"systemd-run --quiet --scope --collect --unit=opsportal-{attempt} "
        f"'--description=OpsPortal attempt {attempt}' {perl}"
    )


def _command(interpreter: str, *, become: bool, password: bool) -> str:
    if not become:
        return interpreter
    # C: sudo's refusals are told apart by their words. -k: ask although it asked a minute ago.
    return f"env LC_ALL=C sudo {f'-k -S -p {SUDO_PROMPT} ' if password else '-n '}{interpreter}"


def _password_line(become_password: Secret | None) -> bytes:
    if become_password is None:
        return b""
    password = become_password.reveal()
    if "\n" in password or password.startswith("opsportal-guard"):
        raise ValueError("sudo cannot be given a password with a line break.")
    return password.encode() + b"\n"


@cache
def _guard(operation: Operation) -> bytes:
    """The program for one operation."""
    lines = [f"ops_boot_line='{_BOOTSTRAP}'", f"ops_bash='{program('script.bash')}'"]
    lines += [program(f"{part}.sh") for part in _PARTS[operation]]
    # The target compares lengths after `$( )`, which eats newlines at the end.
    return "\n".join(lines).encode("ascii")


@cache
def _perl_guard() -> bytes:
    seldom = program("seldom.pl").replace("\\", "\\\\").replace("'", "\\'")
    texts = f"our $script = '{program('script.bash')}';\nour $seldom = '{seldom}';\n"
    return (texts + program("run.pl")).encode("ascii")


def program(name: str) -> str:
    """A program of the directory `guard`, without its comments: they are for readers, not for the wire."""
    source = (Path(__file__).parent / "guard" / name).read_text(encoding="ascii")
    return "\n".join(
        line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")
    )


def _require(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not pattern.fullmatch(value) or ".." in value.split("/"):
        raise ValueError(f"This cannot be {what}: {value!r}")
