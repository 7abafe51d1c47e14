"""What goes to a Windows target: one short command line, and everything else as JSON over its stdin.

The command line is `powershell.exe … -EncodedCommand <bootstrap.ps1>`, always the same text: neither a script
nor a value ever is an argument or an environment variable. The bootstrap's first line is the comment
`# OpsPortal bootstrap 1`.

**stdin**, ASCII, read to its end. The first line is `OPSPORTAL 1 <bytes> <SHA-256, upper-case hex>` of what
follows: one JSON object, broken into lines of LINE characters that are joined again without anything between.
Where that is not what came, the bootstrap ends with the code UPLOAD_BROKEN and nothing has run. Its keys:

| key | in mode | meaning |
|---|---|---|
| `mode` | all | `plain`, `run`, `probe` or `reclaim` |
| `nonce` | all | 32 hex digits that every record of the answer carries |
| `program` | all | guard.ps1, the PowerShell that does the rest |
| `script` | plain, run | the script's text |
| `parameters` | plain, run | an object; each member becomes a variable of that name, typed as in JSON |
| `environment` | plain, run | an object of texts that become environment variables; never a secret |
| `attempt` | run, reclaim | 32 hex digits; names the guard file `<spool>\\<attempt>.guard` |
| `spool` | run, reclaim, probe | its directory; in `probe` the configured base directory, or null |
| `spool_id` | run | what the file `id` in the spool must hold |
| `installation` | probe | a word; the spool is `<base>\\OpsPortal\\<installation>` |
| `forget` | run | attempts whose guard files may go |

**stdout** holds records between the script's own output. A record is byte 0x1e, the nonce, a space, a word,
its fields with single spaces, and a line feed. `-` stands for "not known" or "none".

- `BEGIN`: the script begins now; in mode run the guard file was made by this process.
- `REFUSED <reason>`: nothing was started: `exists`, `fenced`, `spool.missing`, `spool.changed` or
  `spool.full`; in reclaim `spool.unusable`.
- `END <code> <outputs>`: the script's end. The code is unsigned, or `-` after `exit N`, when the process's
  exit code counts. The outputs are base64 of the file OPSPORTAL_OUTPUT, of 65,537 bytes at most, or `-`.
- `PROBE <boot> <up seconds> <user> <spool> <spool id>`: user and spool are base64 of UTF-8.
- `FENCED <boot> <up seconds> <spool id>`: the guard file says `fenced`; this attempt can never start.
- `FOUND <state> <code>`: it was started. The state is `running`, `ended`, `lost` (no such process, and no end
  was written) or `rebooted`.

The guard file is opened with CreateNew by whoever comes first: `started <boot> <pid> <ticks>`, then
`end <code>`; or `fenced`.

**Exit code.** `exit N` gives N. A script that comes to its end gives the exit code of the last native program
that it ran, or 0 if it ran none. An error that nobody catches gives 1; `$ErrorActionPreference` is `Stop` at
the start, so that a failing cmdlet is such an error. Codes are told as signed 32-bit numbers.

**Streams.** stdout is the script's output. Everything else that PowerShell tells (error, warning, verbose,
debug, information) comes over stderr as CLIXML.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

LINE = 32_000
"""Characters of JSON in a line of stdin."""
UPLOAD_BROKEN = 91
LONGEST_COMMAND = 8191
"""Characters that cmd.exe takes as a command line."""
_FOLDER = Path(__file__).parent


@cache
def command_line() -> tuple[str, tuple[str, ...]]:
    """The program and its arguments: the same for every script on every target."""
    return encoded_command((_FOLDER / "bootstrap.ps1").read_text("ascii"))


def encoded_command(text: str) -> tuple[str, tuple[str, ...]]:
    """powershell.exe and its arguments, to run a short program of ours."""
    encoded = base64.b64encode(text.encode("utf-16-le")).decode("ascii")
    flags = ("-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", encoded)
    return "powershell.exe", flags


@cache
def guard_program() -> str:
    """The text of guard.ps1."""
    return (_FOLDER / "guard.ps1").read_text("ascii")


def stdin_of(order: Mapping[str, Any]) -> bytes:
    """The bytes for stdin that hand over `order` and the guard program.

    ASCII alone, so that no code page of the target can change a letter of it.
    """
    text = json.dumps({**order, "program": guard_program()}, ensure_ascii=True, allow_nan=False)
    digest = hashlib.sha256(text.encode("ascii")).hexdigest().upper()
    lines = [f"OPSPORTAL 1 {len(text)} {digest}"]
    lines += [text[start : start + LINE] for start in range(0, len(text), LINE)]
    return "\n".join([*lines, ""]).encode("ascii")
