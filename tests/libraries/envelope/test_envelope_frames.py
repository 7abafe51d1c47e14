"""Records are told from the script's bytes wherever the wire cuts them."""

from __future__ import annotations

import pytest

from automation.libraries.envelope_frames import FrameReader, Record
from automation.libraries.envelope_upload import Header, build_upload

NONCE = "ab" * 16


def read(chunks: list[bytes]) -> tuple[bytes, list[Record]]:
    reader, plain, records = FrameReader(NONCE), b"", []
    for chunk in chunks:
        for piece in reader.feed(chunk):
            if isinstance(piece, Record):
                records.append(piece)
            else:
                plain += piece
    return plain, records


def test_records_are_found_wherever_the_wire_cuts() -> None:
    whole = b"noise\x1e\x1e" + NONCE.encode() + b" END ended 0\nrest\x1e" + NONCE[:9].encode() + b"x"
    for at in range(len(whole)):
        plain, records = read([whole[:at], whole[at:]])
        assert plain == b"noise\x1erest\x1e" + NONCE[:9].encode() + b"x"
        assert records == [Record("END", ("ended", "0"))]


def test_a_record_of_another_nonce_is_the_scripts_own_text() -> None:
    text = b"\x1e" + b"0" * 32 + b" END ended 0\n"
    assert read([text]) == (text, [])


def test_only_a_possible_mark_is_held_back() -> None:
    assert list(FrameReader(NONCE).feed(b"prompt> ")) == [b"prompt> "]
    assert list(FrameReader(NONCE).feed(b"text\x1eab")) == [b"text"]


def test_a_record_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no end"):
        read([b"\x1e" + NONCE.encode() + b" ", b"x" * 70_000])


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempt": "../../etc"},
        {"forget": ("*",)},
        {"spool": "relative"},
        {"spool": "/a/../b"},
        {"spool": "/a b"},
        {"installation": "a b"},
        {"spool_id": "x\ny"},
    ],
)
def test_a_header_that_could_mean_something_else_is_not_sent(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Header("run", **wrong)  # type: ignore[arg-type]


def test_a_payload_that_no_shell_can_hold_is_not_sent() -> None:
    with pytest.raises(ValueError, match="NUL"):
        build_upload(Header("run"), b"a\0b", become=False)


def test_the_command_line_is_one_word_for_any_shell_and_tells_nothing() -> None:
    upload = build_upload(Header("run"), b"secret", become=True)
    inner = upload.command.split("sh -c ", 1)[1]
    assert inner[0] == inner[-1] == "'" and not set("\n!\\'") & set(inner[1:-1])
    assert upload.nonce not in upload.command and "secret" not in upload.command
