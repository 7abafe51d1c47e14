"""Known secrets never reach stored output, wherever the stream is cut."""

import base64
import itertools
import json
import pickle
import random
import re
import shlex
import time
from urllib.parse import quote, quote_plus

import pytest

from credentials.encodings import forms
from credentials.masking import TOKEN, Masker
from credentials.secret import Secret

PASSWORD = "Tr0ub4dor&3 'né'/+\"\\"
PLAIN = "correcthorse"
ED25519 = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDNotARealKeyJustTheShapeOfOne0123456789abcdefgAAAAJiQ0fXwkN\n"
    "H18AAAAAtzc2gtZWQy\n"
    "ABCDEF==\n"
    "-----END OPENSSH PRIVATE KEY-----\n"
)
KEY_LINES = ED25519.splitlines()
SHORT_LINE = "ABCDEF=="


def mask(data: bytes, *secrets: str) -> bytes:
    masker = Masker(Secret(secret) for secret in secrets)
    first, consumed = masker.feed(data)
    rest, remaining = masker.flush()
    assert consumed + remaining == len(data)
    return first + rest


def in_pieces(pieces: list[bytes], *secrets: str) -> bytes:
    masker = Masker(Secret(secret) for secret in secrets)
    fed = [masker.feed(piece) for piece in pieces] + [masker.flush()]
    assert sum(consumed for _, consumed in fed) == sum(map(len, pieces))
    return b"".join(masked for masked, _ in fed)


def b64(raw: bytes) -> bytes:
    return base64.b64encode(raw)


PASSWORD_ENCODED = {
    "as it is": PASSWORD.encode(),
    "between quotes of a log line": b'"' + PASSWORD.encode() + b'"',
    "base64, nothing before": b64(PASSWORD.encode()),
    "base64, one byte before": b64(b"u" + PASSWORD.encode()),
    "base64, two bytes before": b64(b"u:" + PASSWORD.encode()),
    "base64 of user and password": b64(b"administrator:" + PASSWORD.encode()),
    "base64 inside more text": b64(b"abc " + PASSWORD.encode() + b" defghi"),
    "base64 with a newline, as echo gives": b64(PASSWORD.encode() + b"\n"),
    "base64 for URLs, nothing before": base64.urlsafe_b64encode(PASSWORD.encode()),
    "base64 for URLs, one byte before": base64.urlsafe_b64encode(b"u" + PASSWORD.encode()),
    "base64 for URLs, two bytes before": base64.urlsafe_b64encode(b"u:" + PASSWORD.encode()),
    "URL path": quote(PASSWORD).encode(),
    "URL user info": quote(PASSWORD, safe="").encode(),
    "URL query": quote_plus(PASSWORD).encode(),
    "URL with small letters": re.sub("%..", lambda m: m[0].lower(), quote(PASSWORD)).encode(),
    "JSON in ASCII": json.dumps({"p": PASSWORD}).encode(),
    "JSON in UTF-8": json.dumps({"p": PASSWORD}, ensure_ascii=False).encode(),
    "shell word": shlex.quote(PASSWORD).encode(),
    "shell word as set -x prints": ("'" + PASSWORD.replace("'", "'\\''") + "'").encode(),
    "hex": PASSWORD.encode().hex().encode(),
    "hex in capitals": PASSWORD.encode().hex().upper().encode(),
    "XML": PASSWORD.replace("&", "&amp;").replace('"', "&quot;").encode(),
}
PLAIN_TABLE: dict[str, tuple[bytes, bytes]] = {
    "alone": (b"correcthorse", b"*"),
    "at the start": (b"correcthorse battery", b"* battery"),
    "at the end": (b"the correcthorse", b"the *"),
    "in a word": (b"xcorrecthorsex", b"x*x"),
    "twice": (b"correcthorse correcthorse", b"* *"),
    "twice without a gap": (b"correcthorsecorrecthorse", b"**"),
    "with CRLF": (b"correcthorse\r\nnext", b"*\r\nnext"),
    "coloured": (b"\x1b[31mcorrecthorse\x1b[0m", b"\x1b[31m*\x1b[0m"),
    "between NUL bytes": (b"\0correcthorse\0", b"\0*\0"),
    "after bytes that are no UTF-8": (b"\xff\xfecorrecthorse", b"\xff\xfe*"),
    "false start": (b"correcthors correcthorse", b"correcthors *"),
    "false start without a gap": (b"correctcorrecthorse", b"correct*"),
    "only the beginning": (b"correcthors", b"correcthors"),
    "only the end": (b"orrecthorse", b"orrecthorse"),
    "another case is other text": (b"CorrectHorse", b"CorrectHorse"),
    "nothing": (b"", b""),
    "Basic authentication": (b"Basic " + b64(b"ann:correcthorse"), b"Basic YW5uOm*Q=="),
    "hex in a dump": (b"00" + b"correcthorse".hex().encode() + b"00", b"00*00"),
}
SEVERAL: dict[str, tuple[tuple[str, ...], bytes, bytes]] = {
    "the longer of two that begin alike": (("secret-1", "secret-1-long"), b"a secret-1-long b", b"a * b"),
    "the shorter where the longer is not": (("secret-1", "secret-1-long"), b"a secret-1-lon b", b"a *-lon b"),
    "one within the other": (("abcdefghij", "cdefgh"), b"<abcdefghij>", b"<*>"),
    "two that overlap leave no tail": (("abcdefgh", "fghijklm"), b"<abcdefghijklm>", b"<*>"),
    "three in a chain": (("abcdefgh", "fghijklm", "klmnopqr"), b"<abcdefghijklmnopqr>", b"<*>"),
    "two side by side": (("abcdef", "ghijkl"), b"<abcdefghijkl>", b"<**>"),
    "the same twice": (("abcdef", "abcdef"), b"<abcdef>", b"<*>"),
    "one letter repeated": (("aaaaaa",), b"<aaaaaaaa>", b"<*>"),
    "five characters are not looked for": (("abcde",), b"abcde", b"abcde"),
    "one character is not looked for": (("e",), b"hexen", b"hexen"),
    "an empty one is not looked for": (("",), b"text", b"text"),
    "six characters are": (("abcdef",), b"abcdef", b"*"),
    "six characters, not bytes": (("äöüß",), "äöüß".encode(), "äöüß".encode()),
    "space around it does not count": (("  abcdef\n",), b"<abcdef>", b"<*>"),
    "none at all": ((), b"anything", b"anything"),
    "the token itself": (("********",), b"<********>", b"<*>"),
}
KEY_TABLE: dict[str, bytes] = {
    "whole": ED25519.encode(),
    "CRLF": ED25519.replace("\n", "\r\n").encode(),
    "without lines": "".join(KEY_LINES).encode(),
    "spaces for newlines": " ".join(KEY_LINES).encode(),
    "body only": "".join(KEY_LINES[1:-1]).encode(),
    "JSON": json.dumps(ED25519).encode(),
    "base64": b64(ED25519.encode()),
    "base64 after a byte": b64(b"x" + ED25519.encode()),
    "hex": ED25519.encode().hex().encode(),
    "URL": quote(ED25519).encode(),
    "one line": KEY_LINES[1].encode(),
    "another line": KEY_LINES[2].encode(),
    "a short last but one line": KEY_LINES[3].encode(),
    "indented, as YAML": "\n".join("    " + line for line in KEY_LINES).encode(),
}


@pytest.mark.parametrize("encoded", PASSWORD_ENCODED.values(), ids=PASSWORD_ENCODED)
def test_a_password_is_masked_in_every_listed_form(encoded: bytes) -> None:
    masked = mask(b"before " + encoded + b" after", PASSWORD)
    assert TOKEN in masked
    assert masked.startswith(b"before ")
    assert masked.endswith(b" after")
    assert not any(PASSWORD[i : i + 3].encode() in masked for i in range(len(PASSWORD) - 2))
    assert len(masked) <= len(b"before  after") + len(encoded) - len(PASSWORD.encode()) + len(TOKEN)


@pytest.mark.parametrize(("data", "expected"), PLAIN_TABLE.values(), ids=PLAIN_TABLE)
def test_masking_takes_the_secret_and_nothing_else(data: bytes, expected: bytes) -> None:
    assert mask(data, PLAIN) == expected.replace(b"*", TOKEN)


@pytest.mark.parametrize(("secrets", "data", "expected"), SEVERAL.values(), ids=SEVERAL)
def test_several_secrets(secrets: tuple[str, ...], data: bytes, expected: bytes) -> None:
    assert mask(data, *secrets) == expected.replace(b"*", TOKEN)


@pytest.mark.parametrize("encoded", KEY_TABLE.values(), ids=KEY_TABLE)
def test_a_private_key_is_masked_in_every_listed_form(encoded: bytes) -> None:
    masked = mask(b"<" + encoded + b">", ED25519)
    assert TOKEN in masked
    for line in KEY_LINES[1:4]:
        assert line.encode() not in masked
        assert line[:12].encode() not in masked
    assert len(masked) < 150


@pytest.mark.parametrize(
    ("secrets", "data"),
    [
        *(((PASSWORD,), encoded) for encoded in PASSWORD_ENCODED.values()),
        *(((PLAIN,), data) for data, _ in PLAIN_TABLE.values()),
        *((secrets, data) for secrets, data, _ in SEVERAL.values()),
        *(((ED25519, PLAIN), data) for data in KEY_TABLE.values()),
        (("aaaaaa", "ab" * 4), b"aaaaaaaaab" * 9 + b"ab" * 60),
    ],
)
def test_cutting_the_stream_anywhere_changes_nothing(secrets: tuple[str, ...], data: bytes) -> None:
    whole = mask(data, *secrets)
    for at in range(len(data) + 1):
        assert in_pieces([data[:at], data[at:]], *secrets) == whole
    assert in_pieces([data[i : i + 1] for i in range(len(data))], *secrets) == whole


def reference(data: bytes, secrets: list[str]) -> list[bool]:
    """Which bytes belong to an occurrence of some form, found the slow way."""
    covered = [False] * len(data)
    for form in {form for secret in secrets for form in forms(secret)}:
        for at in range(len(data)):
            if data.startswith(form, at):
                covered[at : at + len(form)] = [True] * len(form)
    return covered


def random_stream(dice: random.Random) -> tuple[list[str], bytes]:
    letters = dice.choice(["ab", "abc", "abcdefgh"])
    secrets = ["".join(dice.choices(letters, k=dice.randint(6, 9))) for _ in range(dice.randint(1, 4))]
    pieces = ["".join(dice.choices(letters + "\n", k=dice.randint(0, 9))) for _ in range(6)]
    encoded = [dice.choice(sorted(forms(dice.choice(secrets)))) for _ in range(5)]
    data = b"".join(piece.encode() + form for piece, form in zip(pieces, [*encoded, b""], strict=True))
    return secrets, data


@pytest.mark.parametrize("seed", range(60))
def test_random_streams_lose_every_secret_byte_and_no_other(seed: int) -> None:
    secrets, data = random_stream(random.Random(seed))
    covered = reference(data, secrets)
    masked = mask(data, *secrets)
    kept = bytes(byte for byte, hidden in zip(data, covered, strict=True) if not hidden)
    assert masked.replace(TOKEN, b"") == kept
    for at in range(len(data) + 1):
        assert in_pieces([data[:at], data[at:]], *secrets) == masked


@pytest.mark.parametrize("seed", range(60))
def test_a_reader_may_resume_with_a_fresh_masker_at_any_consumed_offset(seed: int) -> None:
    dice = random.Random(seed)
    secrets, data = random_stream(dice)
    whole = mask(data, *secrets)
    masker = Masker(map(Secret, secrets))
    done, out = 0, b""
    cuts = [0, *sorted(dice.sample(range(len(data)), 8))]
    for start, end in itertools.pairwise(cuts):
        masked, consumed = masker.feed(data[start:end])
        out += masked
        done += consumed
        assert out + mask(data[done:], *secrets) == whole


def test_output_without_a_partial_secret_passes_at_once() -> None:
    masker = Masker([Secret(PLAIN), Secret(ED25519)])
    assert masker.feed(b"Setting up nginx ...\n") == (b"Setting up nginx ...\n", 21)
    assert masker.feed(b"half a corre") == (b"half a ", 7)
    assert masker.feed(b"ct answer\n") == (b"correct answer\n", 15)
    assert masker.flush() == (b"", 0)


def test_the_count_says_which_remote_bytes_the_output_stands_for() -> None:
    masker = Masker([Secret(PLAIN)])
    assert masker.feed(b"a correct") == (b"a ", 2)
    assert masker.feed(b"horse b") == (TOKEN + b" b", 14)


def test_what_is_held_stays_bounded_even_for_a_chain_without_end() -> None:
    masker = Masker([Secret("aaaaaaaa")])
    longest = max(map(len, forms("aaaaaaaa")))
    for _ in range(200):
        masker.feed(b"a" * 50)
        assert len(masker._held) <= 3 * longest
    masked = masker.flush()[0]
    assert masked.replace(TOKEN, b"") == b""


def test_lines_that_mark_a_key_are_no_secret() -> None:
    assert mask(b"-----BEGIN OPENSSH PRIVATE KEY-----", ED25519) == b"-----BEGIN OPENSSH PRIVATE KEY-----"


def test_a_masker_neither_shows_nor_gives_away_its_secrets() -> None:
    masker = Masker([Secret(PLAIN)])
    assert PLAIN not in repr(masker)
    with pytest.raises(TypeError):
        vars(masker)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(masker)


def test_ordinary_output_passes_fast() -> None:
    dice = random.Random(1)
    secrets = [Secret("".join(dice.choices("abcdefghijkLMNOP0123456789", k=16))) for _ in range(3)]
    masker = Masker(secrets)
    chunk = (b"Nov 22 18:00:01 web-1 systemd[1]: Started Session 42 of user root.\n" * 1000)[:65536]
    started = time.process_time()
    for _ in range(100):
        masker.feed(chunk)
    # Far below what it does on an idle machine, far above what a byte-by-byte search would reach.
    assert 100 * len(chunk) / (time.process_time() - started) > 20_000_000


def test_a_fresh_masker_knows_the_same_secrets_and_nothing_of_the_other_stream() -> None:
    masker = Masker([Secret(PLAIN)])
    masker.feed(PLAIN[:8].encode())
    other = masker.fresh()
    assert other.feed(PLAIN[8:].encode()) == (PLAIN[8:].encode(), len(PLAIN) - 8)
    assert other.feed(PLAIN.encode()) == (TOKEN, len(PLAIN))
