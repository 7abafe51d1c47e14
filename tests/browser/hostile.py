"""Text that means harm: markup and terminal controls, to be shown as text wherever they come from.

Every piece of markup would leave an element or attribute of class `owned`, or open a dialog.
"""

import base64

from playwright.sync_api import Page

# One line each and printable, so that every field which takes text takes these.
MARKUP = (
    "<img class=owned src=x onerror=alert(1)>",
    "<script class=owned>alert(2)</script>",
    "</script></style></pre></textarea></title><svg class=owned onload=alert(3)>",
    '" class="owned" onmouseover="alert(4)" autofocus onfocus="alert(4)" x="',
    "' class='owned' autofocus onfocus='alert(5)' x='",
    '<a class=owned href="javascript:alert(6)">press me</a>',
    '<div class=owned x-data x-init="alert(7)" hx-get=/ hx-trigger=load>',
    '<iframe class=owned srcdoc="<script>parent.alert(8)</script>"></iframe>',
    "<!-- ]]> --><math><mtext><style><img class=owned src=x onerror=alert(9)></style>",
    "{{ 7|add:7 }}{% csrf_token %}${7*7}#{7*7}",
    "&lt;img class=owned&gt; &#60;b&#62; &amp;amp;",
    "__proto__ constructor toString",
)

# What a terminal would obey. Nothing of it may move, hide, link or rename anything on a page.
TERMINAL = (
    b"\x1b]0;owned title\x07",
    b"\x1b]2;owned title\x1b\\",
    b"\x1b[2J\x1b[H\x1b[3J",
    b"\x1b]8;;javascript:alert(10)\x07press me\x1b]8;;\x07",
    b"\x1b]8;;https://192.0.2.1/\x1b\\a link\x1b]8;;\x1b\\",
    b"\x1b]52;c;b3duZWQ=\x07",
    b"\x1bP+q544e\x1b\\\x1b_owned\x1b\\\x1b^owned\x1b\\",
    b"\x1b[8mhidden\x1b[0m\x1b[30;40mblack on black\x1b[0m",
    b'\x1b[38;2;1;2;3;"onclick=alert(11)m coloured\x1b[m',
    b"\x1b[38;5;999999999999m\x1b[99999999999999999999A\x1b[?1049h\x1b[?25l",
    b"\x9b31m\x9d0;owned\x9c c1 controls",
    b"overwritten\rwritten over",
    b"back\b\b\b\bspace \x00nul \x7fdel \x0bvt \x0cff \x07bell",
    b"\xff\xfe\xc3\x28\xed\xa0\x80\xf8\x88 not UTF-8",
    "right to left: \u202egnp.exe\u202c, joined: a\u200db, line ends: \u2028\u2029\u0085".encode(),
    b"\x1b[31" + b";31" * 2000 + b"mlong sequence\x1b[0m",
    b"\x1b]0;never ended",
)
LAST_LINE = "the last line is still here"


def output() -> bytes:
    """All of it as a target would print it, between a first and a last line."""
    lines = [b"the first line", *(line.encode() for line in MARKUP), *TERMINAL, b"\x1b\\", LAST_LINE.encode()]
    return b"\n".join(lines) + b"\n"


def script() -> str:
    """A bash script that prints `output()` on stdout, and a part of it on stderr."""
    coded = base64.b64encode(output()).decode()
    return f"base64 -d <<'END'\n{coded}\nEND\necho '{MARKUP[0]}' >&2\n"


def taken_as_markup(page: Page) -> list[str]:
    """What of the corpus has become part of the page, instead of text on it."""
    found: list[str] = page.evaluate(
        """() => [
            ...[...document.querySelectorAll(".owned, [onerror], [onload], [onfocus], [onmouseover]")].map(
                element => element.outerHTML.slice(0, 200)),
            ...[...document.querySelectorAll("a[href]")].filter(link => !/^https?:$/.test(link.protocol))
                .map(link => link.outerHTML.slice(0, 200)),
            ...(document.title.includes("owned title") ? [document.title] : []),
            ...(/[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f]/.test(document.body.innerText)
                ? ["control characters in the text of the page"] : []),
        ]"""
    )
    return found


def missing_text(page: Page, *texts: str) -> list[str]:
    """Which of the texts a reader of this page does not see, in fields or between them."""
    seen: str = page.evaluate(
        """() => [document.body.innerText, ...[...document.querySelectorAll("input, textarea")]
            .map(field => field.value)].join("\\n")"""
    )
    return [text for text in texts if text not in seen]
