"""Regular expressions written by the authors of workflows, matched in linear time.

The engine is the one of CEL's `matches` (no look-around, no back-references): Python's own backtracks and can
be made to run for ever by 30 characters.
"""

import re

import cel

MAX_PATTERN = 200
MAX_REPETITIONS = 1_000
MAX_MATCHED = 4_096
_COUNTED = re.compile(r"(?<!\\)\{([0-9]{1,9})(?:,([0-9]{0,9}))?\}")


def check_pattern(pattern: str, *, repetitions: int = MAX_REPETITIONS) -> str:
    """Give `pattern` back when it can be used; ValueError with the reason otherwise.

    `repetitions` is how many copies of a part `{n,m}` may ask for, nested ones multiplied.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")
    # The engine is linear in the text, but also in the pattern with its counted repetitions written out.
    written_out = 1
    for low, high in _COUNTED.findall(pattern):
        written_out *= max(1, int(low), int(high or 0))
    if written_out > repetitions:
        raise ValueError(f"counted repetitions multiply to more than {repetitions}")
    # Alone and wrapped: `a)|(b` is only wrong alone, `(?x)a #` only wrong wrapped.
    for candidate in (pattern, _whole(pattern)):
        try:
            _matches(candidate, "")
        except RuntimeError as error:
            raise ValueError(f"not a usable regular expression ({_reason(str(error))})") from None
    return pattern


def matches_whole(pattern: str, text: str) -> bool:
    """Whether all of `text` matches `pattern`; text beyond MAX_MATCHED characters never does."""
    return len(text) <= MAX_MATCHED and _matches(_whole(pattern), text)


def _whole(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


_PROGRAM = cel.compile("text.matches(pattern)")


def _matches(pattern: str, text: str) -> bool:
    return bool(_PROGRAM.execute({"text": text, "pattern": pattern}))


def _reason(message: str) -> str:
    if "size limit" in message:
        return "too large"
    _, found, tail = message.partition("error: ")
    last = tail.rpartition("error: ")[2] if found else ""
    return last.partition(". Check function")[0].strip() or "it does not compile"
