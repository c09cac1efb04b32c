"""Output as HTML, as a terminal would show it, and by pieces: whatever was printed."""

import re
from random import Random

import pytest

from autosubmit_portal.console.parts import output
from autosubmit_portal.console.parts.terminal import render_html
from tests.support import fuzz
from tests.support.kinds import outcome_of

# Text without control characters, references and the elements that we make.
SAFE = re.compile(
    r'(?:[^<>&"\x00-\x08\x0b-\x1f\x7f]|&(?:lt|gt|amp|quot|#x27);|<span class="[a-z0-9 -]+">|'
    r"<span data-output-unfinished>|</span>)*"
)


def reader(data: bytes) -> output.Read:
    return lambda offset, limit: (data[offset : offset + limit], len(data))


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "json.decoder.JSONDecodeError: Expecting value",
        "KeyError",
        "[ERROR] 2026-12-01 In Configuration files:",
        "\x1b[31m[CRITICAL] no\x1b[0m",
        "\x1b[31mERROR x\x1b[0m",
        "srun: error: n1: task 0",
        "cat: x: No such file or directory",
        "+ exit 137",
    ],
)
def test_a_line_that_tells_of_an_error_is_marked(line: str) -> None:
    html = render_html(f"before\n{line}\nafter\n".encode())
    assert html.startswith('before\n<span class="error-line">')
    assert html.endswith("\n</span>after\n")


@pytest.mark.parametrize(
    "line",
    [
        "0 errors, no error handler",
        "writing to error.log and stderr",
        "+ exit 0",
        "+ echo 'error: x'",
        'fc1) echo "slurmstepd: error: Detected 1 oom-kill event(s)" >&2; exit 137;;',
        "[WARNING] created from scratch due: [Errno 2] No such file or directory",
        "    exit $AS_EXIT_CODE",
    ],
)
def test_another_line_is_not_marked(line: str) -> None:
    assert "error-line" not in render_html(f"before\n{line}\nafter\n".encode())


def test_a_colour_goes_on_through_a_line_that_tells_of_an_error() -> None:
    red = '<span class="ansi-31">{}</span>'
    error = f'<span class="error-line">{red.format("error: x" + chr(10))}</span>'
    assert render_html(b"\x1b[31ma\nerror: x\nb\x1b[0m\nc") == red.format("a\n") + error + red.format("b") + "\nc"


@pytest.mark.parametrize(
    ("data", "html"),
    [
        (b"10 %\r20 %\rdone\n", "done\n"),
        (b"a long one\rshort\n", "shortg one\n"),
        (b"a long one\r\x1b[Kshort\n", "short\n"),
        (b"a long one\x1b[2K\rshort", "short"),
        (b"one\r\ntwo\r\r\n", "one\ntwo\n"),
        (b"100 %\r", "100 %"),
        (b"\x1b[31mred\rb", '<span class="ansi-31">bed</span>'),
        (b"red\r\x1b[31mb\x1b[0m\nx", '<span class="ansi-31">b</span>ed\nx'),
    ],
)
def test_a_carriage_return_writes_over_its_line(data: bytes, html: str) -> None:
    assert render_html(data) == html


@pytest.mark.parametrize("code", [b"9" * 5000, b"0" * 5000 + b"31", b";" * 5000, b"31;" * 5000])
def test_a_colour_of_thousands_of_digits_does_no_harm(code: bytes) -> None:
    assert "red" in render_html(b"\x1b[" + code + b"mred\x1b[0m\n")


def test_zeros_before_the_number_of_a_colour_do_not_count() -> None:
    assert render_html(b"\x1b[01;031mred\x1b[0m") == '<span class="ansi-1 ansi-31">red</span>'


def test_going_back_to_a_colour_from_before_keeps_it() -> None:
    assert render_html(b"\x1b[32mgreen\nback\rb") == '<span class="ansi-32">green\nback</span>'


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_is_printed_is_shown_as_safe_html(seed: int) -> None:
    random = Random(seed)
    for _ in range(10):
        html = render_html(fuzz.printed(random))
        assert SAFE.fullmatch(html)
        assert html.count("<span") == html.count("</span>")


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_is_printed_is_shown_from_its_beginning_to_its_end(seed: int) -> None:
    random = Random(seed)
    for _ in range(10):
        data = fuzz.printed(random)
        at, first, newest = 0, output.read_tail(reader(data), is_over=True).start, None
        while newest is None or (newest.shown < len(data) and newest.end > newest.start):
            newest = output.read_next(reader(data), at, is_over=False)
            assert newest.start == at
            at = newest.end
        assert len(data) - newest.shown < 4  # a character whose rest may follow
        while first:
            earlier = output.read_before(reader(data), first)
            assert earlier.start < first == earlier.end
            first = earlier.start


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_is_printed_has_lines_around_each_place(seed: int) -> None:
    random = Random(seed)
    for _ in range(10):
        data = fuzz.printed(random)
        offset, length = random.randrange(len(data) + 10), random.randrange(500)
        piece = output.read_around(reader(data), offset, length)
        assert "<mark>" in piece.html
        assert piece.start <= min(offset, len(data)) <= piece.end


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_whatever_is_printed_has_an_outcome(seed: int) -> None:
    random = Random(seed)
    for command in ("run", "expid", "create", "setstatus", "stop"):
        for status in (0, 1, 88, 137, -9):
            text = fuzz.printed(random).decode("utf-8", "replace")
            assert outcome_of(command, status, text).message
