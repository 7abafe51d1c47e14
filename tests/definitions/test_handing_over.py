"""Values reach a real bash byte for byte."""

import random
import subprocess
from collections.abc import Mapping

import pytest

from automation.definitions.errors import ParameterError
from automation.definitions.parameters import (
    EXPORT_LIMIT,
    EXPORT_TOTAL,
    PRELUDE_LINES,
    build_payload,
    check_variables,
    prelude,
)
from automation.libraries.outputs import read_outputs

SEED = 20_261_122
HARD = [
    *(
        "",
        "'",
        "''",
        "\\",
        "\\'",
        '"',
        "$HOME",
        "$(touch /tmp/x)",
        "`id`",
        "${IFS}",
        "!!",
        "!x",
        "-n",
        "--",
        "-e a",
    ),
    *(
        "\n",
        "\n\n",
        "a\n",
        "\na",
        "\r\n",
        "\t",
        "\x01\x1b[31m\x7f",
        " ",
        "  a  ",
        "*",
        "?",
        "~",
        "#",
        ";",
        "&",
        "|",
    ),
    *(
        "\u2028\u2029\x85",
        "’‘‚‛“”„",
        "😀👩‍👩‍👧",
        "\ufeff",
        "\U0010ffff",
        "\u202e",
        "e\u0301",
        "\xa0",
        "%s%n",
        "\\n\\x41",
    ),
    *(
        "'; echo pwned; '",
        "'$'\\n''",
        "a'b\nc'd",
        "'\n'",
        "EOF\n",
        "x" * 131_072,
        "'\n" * 40_000,
        "é" * 65_536,
    ),
]


def run_bash(payload: bytes, *, environment: Mapping[str, str] | None = None) -> bytes:
    finished = subprocess.run(
        ["/bin/bash"],
        input=payload,
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **(environment or {})},
        timeout=60,
    )
    assert (finished.returncode, finished.stderr) == (0, b"")
    return finished.stdout


def seen(values: Mapping[str, str], *, environment: Mapping[str, str] | None = None) -> list[bytes]:
    script = "".join(f"printf '%s\\0' \"${name}\"\n" for name in values)
    return run_bash(build_payload(prelude(values), script), environment=environment).split(b"\0")[:-1]


def random_text(source: random.Random) -> str:
    ranges = [(1, 0x7F), (1, 0xFF), (1, 0xD7FF), (0xE000, 0x10FFFF)]
    low, high = source.choice(ranges)
    length = source.choice([0, 1, 2, 5, 20, 200])
    pieces = [chr(source.randint(low, high)) for _ in range(length)]
    for _ in range(source.randint(0, 5)):
        pieces.insert(source.randint(0, len(pieces)), source.choice(HARD[:40]))
    text = "".join(pieces)
    return "".join(each for each in text if not 0xD800 <= ord(each) <= 0xDFFF)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_hard_values_arrive_byte_for_byte(locale: str) -> None:
    values = {f"v{number}": text for number, text in enumerate(HARD)}

    assert seen(values, environment={"LC_ALL": locale}) == [text.encode() for text in values.values()]


def test_random_values_over_all_of_unicode_arrive_byte_for_byte() -> None:
    source = random.Random(SEED)
    for _ in range(100):
        values = {f"v{number}": random_text(source) for number in range(200)}
        assert seen(values) == [text.encode() for text in values.values()]


def test_types_have_one_spelling_in_bash() -> None:
    payload = build_payload(
        prelude({"yes": True, "no": False, "number": -5, "missing": None, "items": ["a b", "c"]}),
        'set -u; printf "%s|" "$yes" "$no" "$number" "$missing" "$items"; mapfile -t all <<< "$items"; '
        "echo ${#all[@]}",
    )

    assert run_bash(payload) == b"true|false|-5||a b\nc|2\n"


def test_outputs_of_earlier_steps_are_prefixed() -> None:
    payload = build_payload(
        prelude({"version": "mine"}, {"version": "1.2"}), 'echo "$version $OUTPUT_version"'
    )

    assert run_bash(payload) == b"mine 1.2\n"


def test_values_are_exported_and_secrets_are_not() -> None:
    payload = build_payload(
        prelude({"package": "nginx"}, {"version": "1"}, secrets={"token": "s3cret"}),
        'env | sort | grep -E "^(package|token|OUTPUT_version)="; echo "$token"',
    )

    assert run_bash(payload) == b"OUTPUT_version=1\npackage=nginx\ns3cret\n"


@pytest.mark.parametrize("environment", [{"token": "inherited"}, {"SHELLOPTS": "allexport"}])
def test_nothing_inherited_makes_a_secret_exported(environment: dict[str, str]) -> None:
    payload = build_payload(
        prelude({}, secrets={"token": "s3cret"}), 'env | grep -c "^token=" || true; echo "$token"'
    )

    assert run_bash(payload, environment=environment) == b"0\ns3cret\n"


def test_large_values_stay_unexported_so_that_commands_still_start() -> None:
    values = {f"v{number}": "x" * EXPORT_LIMIT for number in range(20)}
    payload = build_payload(
        prelude({**values, "big": "y" * (EXPORT_LIMIT + 1), "small": "z"}),
        "env | grep -cE '^v[0-9]+='; env | grep -c ^big= || true; env | grep -c ^small=\n"
        "echo ${#big} ${#v19}",
    )

    exported = (EXPORT_TOTAL - 8) // (EXPORT_LIMIT + 5)
    assert run_bash(payload) == f"{exported}\n0\n1\n{EXPORT_LIMIT + 1} {EXPORT_LIMIT}\n".encode()


def test_the_lines_of_a_script_stay_countable() -> None:
    assignments = prelude({"a": "1\n2\n'3\n"}, {"b": "\n"})

    assert assignments.count(b"\n") == PRELUDE_LINES
    assert run_bash(build_payload(assignments, "echo $LINENO\n\necho $LINENO")) == b"2\n4\n"


@pytest.mark.parametrize("name", ["PATH", "IFS", "a b", "a;id", "output_x", "OUTPUT_x", "$(id)", ""])
def test_a_refused_name_never_reaches_bash(name: str) -> None:
    with pytest.raises(ParameterError):
        prelude({name: "x"})
    with pytest.raises(ParameterError):
        prelude({}, secrets={name: "x"})


@pytest.mark.parametrize("name", ["PATH", "Version", "_", "a b", "1", "a;id", "a=b", "$(id)", ""])
def test_an_output_of_a_refused_name_is_left_out_and_breaks_nothing(name: str) -> None:
    assert prelude({}, {name: "x", "good": "1", "nul": "\0", "half": "\ud800"}) == prelude({}, {"good": "1"})


def test_nul_and_clashes_are_refused_without_quoting_the_value() -> None:
    for values, secrets in (
        ({"a": "hunter2\0"}, {}),
        ({}, {"a": "hunter2\0"}),
        ({"a": "x"}, {"a": "hunter2"}),
    ):
        with pytest.raises(ParameterError) as caught:
            prelude(values, secrets=secrets)
        assert "hunter2" not in str(caught.value)


def test_what_variables_accept_can_be_handed_over() -> None:
    assert (
        run_bash(build_payload(prelude(check_variables({"port": 80, "on": True})), "echo $port $on"))
        == b"80 true\n"
    )


def test_outputs_of_random_bytes_never_raise_and_can_be_handed_on() -> None:
    source = random.Random(SEED)
    for _ in range(50):
        data = b"".join(b"k%d=%b\n" % (number, source.randbytes(20)) for number in range(50))
        outputs = read_outputs(data).values
        names = " ".join(f'"$OUTPUT_{name}"' for name in outputs)
        if outputs:
            found = run_bash(build_payload(prelude({}, outputs), f"printf '%s\\0' {names}")).split(b"\0")[:-1]
            assert found == [value.encode() for value in outputs.values()]
