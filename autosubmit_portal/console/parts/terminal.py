"""Terminal output as HTML, with colours and lines that tell of errors as CSS classes."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from autosubmit_portal.console.parts.error_lines import split_by_errors

_COLOUR = re.compile(r"\x1b\[([0-9;]*)m")
_ERASE = re.compile(r"\x1b\[([02]?)K")
_OTHER_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-ln-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_LINE_END = re.compile(r"(?<!\r)\r++\n")  # each run of returns is looked at once
# What moves in a line that is written again: the cursor, the colour, and what is erased.
_MOVES = re.compile(r"(\r|\x1b\[[0-9;]*m|\x1b\[[02]?K)")
_BLANK = ("", " ")
_SHOWN_CODES = frozenset(map(str, {1, *range(30, 38), *range(90, 98)}))


def render_html(data: bytes) -> SafeString:
    """Return terminal output as HTML: escaped, colours as classes, every other control sequence dropped.

    Lines that tell of an error have a class too. A carriage return goes back to the beginning of its line, which is
    then written over.
    """
    text = _LINE_END.sub("\n", data.decode("utf-8", "replace"))
    if "\r" in text:
        text = _rewrite_lines(text)
    text = _CONTROL.sub("", _OTHER_SEQUENCE.sub("", text))
    html, colour = "", ""
    for is_error, lines in split_by_errors(text):
        shown = _render_colours(colour + lines)
        html += f'<span class="error-line">{shown}</span>' if is_error else shown
        colour = _find_last_colour(lines, colour)
    return mark_safe(html.replace("\x1b", ""))  # noqa: S308  # every part is escaped or a number of ours


def _render_colours(text: str) -> str:
    parts = _COLOUR.split(text)
    html: list[str] = [escape(parts[0])]
    for codes, part in zip(parts[1::2], parts[2::2], strict=True):
        classes = " ".join(f"ansi-{code}" for code in _select_codes(codes))
        html.append(f'<span class="{classes}">{escape(part)}</span>' if classes and part else escape(part))
    return "".join(html)


def _find_last_colour(text: str, before: str) -> str:
    """Return the colour in which a text ends that begins in the colour `before`."""
    return next((found[0] for found in [*_COLOUR.finditer(text)][-1:]), before)


def _select_codes(codes: str) -> list[str]:
    """Return the codes that have a class, without leading zeros. A hostile code may have thousands of digits."""
    return [code for given in codes.split(";") if (code := given.lstrip("0")) in _SHOWN_CODES]


def _rewrite_lines(text: str) -> str:
    lines, colour = [], ""
    for line in text.split("\n"):
        lines.append(_rewrite_line(line, colour) if "\r" in line else line)
        colour = _find_last_colour(line, colour)
    return "\n".join(lines)


def _rewrite_line(line: str, colour: str) -> str:
    """Return the final state of a line that starts in `colour`: each character with its colour."""
    cells: list[tuple[str, str]] = []
    inherited, place = colour, 0
    for part in _MOVES.split(line):
        if part == "\r":
            place = 0
        elif _COLOUR.fullmatch(part):
            colour = part
        elif erased := _ERASE.fullmatch(part):
            del cells[0 if erased[1] == "2" else place :]
        else:
            shown = _CONTROL.sub("", _OTHER_SEQUENCE.sub("", part))
            cells += [_BLANK] * (place - len(cells) if shown else 0)
            cells[place : place + len(shown)] = [(colour, character) for character in shown]
            place += len(shown)
    return _join_cells(cells, inherited) + (colour if colour != (cells[-1][0] if cells else inherited) else "")


def _join_cells(cells: list[tuple[str, str]], colour: str) -> str:
    parts = []
    for own, character in cells:
        if own != colour:
            parts.append(own or "\x1b[0m")
            colour = own
        parts.append(character)
    return "".join(parts)
