"""What may be repeated of a target's own words."""

import pytest

from automation.libraries.errors import last_words

SENT = b"hunter2\nOPSPORTAL 0123 40\nx=secret value\necho ok\n"


@pytest.mark.parametrize(
    ("noise", "sentence"),
    [
        (b"", "It said nothing"),
        (b" \r\n", "It said nothing"),
        (b"welcome\r\nno login here.\r\n", "It said: no login here"),
        (b"\x1b[31mno\xff", "It said: ?[31mno\N{REPLACEMENT CHARACTER}"),
        (b"welcome\nhunter2\n", "It sent back what it was sent"),
        (b"router> hunter2\r\n", "It sent back what it was sent"),
        (b"secret va", "It sent back what it was sent"),
    ],
)
def test_the_last_line_is_repeated_unless_it_is_ours(noise: bytes, sentence: str) -> None:
    assert last_words(noise, sent=SENT) == sentence
