"""The family of errors: closed, stable, and useful to the person who reads it."""

from __future__ import annotations

from collections.abc import Iterator

from automation.libraries.errors import CODES, ConnectionLost, LibraryError


def family(base: type[LibraryError] = LibraryError) -> Iterator[type[LibraryError]]:
    for member in base.__subclasses__():
        if "code" in vars(member):
            yield member
        yield from family(member)


def test_each_class_has_a_code_of_its_own_and_each_code_a_class() -> None:
    codes = [member.code for member in family() if member.__module__ == "automation.libraries.errors"]
    assert sorted(codes) == sorted(CODES)
    assert len(set(CODES)) == len(CODES)


def test_each_class_says_what_to_do_next_in_a_sentence() -> None:
    for member in family():
        assert member.next_step.endswith(".")
        assert member.next_step[0].isupper()


def test_the_text_tells_what_happened_why_and_what_to_do() -> None:
    error = ConnectionLost("It broke", cause_hint="A cable", sent=False)
    assert str(error) == f"It broke. A cable. {ConnectionLost.next_step}"
    assert error.as_dict()["sent"] is False
    assert ConnectionLost("It broke").sent is True
