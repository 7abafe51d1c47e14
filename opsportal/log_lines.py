"""One line a record: time, level, logger, message, then `extra` as key=value. Safe to show in a terminal."""

import json
import logging
import re
from datetime import UTC, datetime

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
# Objects, not words: a request would print a whole page of addresses and headers.
LEFT_OUT = frozenset({"request", "server_time", "websocket"})
SECRET_KEYS = re.compile(
    r"passw|passphrase|secret|token|authorization|private_?key|cookie|api_?key", re.IGNORECASE
)
MASK = "[masked]"
# A bearer token of ours anywhere, and `password=…`, `"token": "…"` and the like in running text.
SECRETS_IN_TEXT = (
    (re.compile(r"\bops_[A-Za-z0-9_-]{8,}"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{MASK}@"),
    (
        re.compile(
            r"""(?i)((?:password|passphrase|secret|token|authorization|private_key|api_key)['"]?\s*[=:]\s*)"""
            r"""("[^"]*"|'[^']*'|[^\s,;&)}\]]+)"""
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
)
# C0 and C1 controls, line separators and text direction marks: they would let a target rewrite the screen.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def mask(text: str) -> str:
    """The text with everything that looks like a secret replaced."""
    for pattern, replacement in SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str) -> str:
    """The text with control characters written as escapes."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class MaskSecrets(logging.Filter):
    """Masks extras named like a secret, and what looks like a secret in texts.

    A net under the rule that secrets are never logged: it knows common shapes, not every secret.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = f"{record.msg} (its arguments do not fit)"
        record.msg, record.args = mask(message), None
        for key in vars(record).keys() - STANDARD:
            if SECRET_KEYS.search(key):
                setattr(record, key, MASK)
        if record.exc_info:
            record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
        return True


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO automation.workers "message" run=12 target=web1`"""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        words = [moment.replace("+00:00", "Z"), record.levelname, record.name, _quoted(record.getMessage())]
        for key in sorted(vars(record).keys() - STANDARD - LEFT_OUT):
            words.append(f"{key}={_word(mask(str(getattr(record, key))))}")
        if record.exc_info and not record.exc_text:
            record.exc_text = mask(self.formatException(record.exc_info))
        if record.exc_text:
            words.append(f"traceback={_quoted(record.exc_text)}")
        return " ".join(words)


def _quoted(text: str) -> str:
    return printable(json.dumps(text, ensure_ascii=False))


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w.:/@+-]+", text) else _quoted(text)
