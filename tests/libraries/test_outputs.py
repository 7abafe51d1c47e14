"""What scripts hand on, read from hostile bytes."""

from automation.libraries.outputs import OUTPUTS_LIMIT, read_outputs


def test_outputs_are_lines_of_key_and_value_and_the_latest_wins() -> None:
    data = b"version=1\nempty=\npair=a=b\n\nversion= 2 \r\nlast=no line feed"

    assert read_outputs(data).values == {"version": " 2 ", "empty": "", "pair": "a=b", "last": "no line feed"}


def test_lines_that_are_no_output_are_dropped_and_counted() -> None:
    data = (
        b"no separator\n=x\nUpper=1\na-b=1\nPATH=/tmp\nnul=a\0b\nbroken=\xff\ngood=1\n" + b"a" * 65 + b"=1\n"
    )

    outputs = read_outputs(data)

    assert outputs.values == {"broken": "\ufffd", "good": "1"}
    assert (outputs.dropped, outputs.cut) == (7, False)


def test_outputs_beyond_the_limit_are_cut_at_a_whole_line() -> None:
    data = b"a=1\n" + b"b=" + b"x" * OUTPUTS_LIMIT

    assert read_outputs(data) == ({"a": "1"}, 0, True)
    assert read_outputs(b"x" * (OUTPUTS_LIMIT + 1)).values == {}
