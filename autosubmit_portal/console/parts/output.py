"""Showing what commands and jobs print: by pieces of a file that grows, the newest first, with colours made safe.

A piece ends with a line, and so begins the next one. The last line may go on later: it is marked, and the next piece
has it again, whole. Only lines of more than LONG_LINE_BYTES are cut.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.utils.html import format_html
from django.utils.http import content_disposition_header

from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts.base import parse_number
from autosubmit_portal.console.parts.terminal import render_html
from jobs.autosubmit.characters import decode_whole, find_first_character

# Reads `limit` bytes from `offset`; answers them and the size of the whole.
Read = Callable[[int, int], tuple[bytes, int]]

PIECE_BYTES = 64 * 1024
# Who is further behind than this jumps to the end.
FAR_BEHIND_BYTES = 16 * PIECE_BYTES
# A line that is not finished yet is shown again when it goes on, unless it is longer than this.
LONG_LINE_BYTES = 4096

_OPEN_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?]{0,40})?$|\r$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an output as HTML: bytes `start` to `end` of `size`; `is_reset` when it follows nothing before it.

    What it shows from `end` to `shown` is the beginning of a line, marked as unfinished: the piece from `end` on has it
    again.
    """

    html: str
    start: int
    end: int
    size: int
    is_reset: bool = False
    is_over: bool = False
    shown: int = 0


def read_tail(read: Read, *, is_over: bool, is_reset: bool = True) -> Piece:
    """Return the newest piece."""
    start = max(0, read(0, 0)[1] - PIECE_BYTES)
    data, size = read(start, PIECE_BYTES)
    skipped = _find_first_line(data) if start else 0
    return _make_piece(data[skipped:], start + skipped, size, is_over=is_over, is_reset=is_reset)


def read_after(read: Read, offset: int, *, is_over: bool) -> Piece:
    """Return the piece after `offset`; the newest piece when the output was cut or is far ahead."""
    size = read(0, 0)[1]
    if offset > size or size - offset > FAR_BEHIND_BYTES:
        return read_tail(read, is_over=is_over)
    return read_next(read, offset, is_over=is_over)


def read_before(read: Read, offset: int) -> Piece:
    """Return the piece before `offset`."""
    offset = min(offset, read(0, 0)[1])
    start = max(0, offset - PIECE_BYTES)
    data, size = read(start, offset - start)
    skipped = _find_first_line(data) if start else 0
    return Piece(render_html(data[skipped:]), start + skipped, offset, size, shown=offset)


def read_next(read: Read, offset: int, *, is_over: bool) -> Piece:
    """Return the piece after `offset`, however much follows it."""
    data, size = read(offset, PIECE_BYTES)
    return _make_piece(data, offset, size, is_over=is_over, is_reset=False)


def _make_piece(data: bytes, start: int, size: int, *, is_over: bool, is_reset: bool) -> Piece:
    is_last = start + len(data) >= size
    kept, end, shown = _divide(data, is_last=is_last, is_over=is_over)
    html = render_html(data[:kept])
    if shown > kept:
        html = format_html("{}<span data-output-unfinished>{}</span>", html, render_html(data[kept:shown]))
    is_ended = is_over and is_last
    return Piece(html, start, start + end, size, is_reset, is_ended, start + shown)


def _divide(data: bytes, *, is_last: bool, is_over: bool) -> tuple[int, int, int]:
    """Return how many bytes are shown for good, where the next piece begins, and how many are shown for now.

    Of a long line that is written again and again, what was written over need not be read again.
    """
    if is_last and is_over:
        return len(data), len(data), len(data)
    lines = data.rfind(b"\n") + 1
    if lines and not is_last:
        return lines, lines, lines
    whole = lines + decode_whole(data[lines:], is_final=False)[1]
    if is_last and len(data) - lines <= LONG_LINE_BYTES:
        return lines, lines, whole
    rewritten = data.rfind(b"\r", lines, len(data) - 1) + 1
    if rewritten:
        return lines, rewritten, whole
    cut = _cut_long_line(data)
    return cut, cut, cut


def _cut_long_line(data: bytes) -> int:
    """Return where to cut a long line: never inside a character or a control sequence, and never at 0."""
    whole = data[: decode_whole(data, is_final=False)[1]]
    open_sequence = _OPEN_SEQUENCE.search(whole)
    return (open_sequence.start() if open_sequence else len(whole)) or len(data)


def _find_first_line(data: bytes) -> int:
    """Return where the first complete line begins; in a long line, where the first complete character begins."""
    line = data.find(b"\n", 0, LONG_LINE_BYTES) + 1
    return line if 0 < line < len(data) else find_first_character(data)


def read_around(read: Read, offset: int, length: int) -> Piece:
    """Return the lines around the `length` bytes at `offset`, which are marked."""
    start = max(0, min(offset, read(0, 0)[1]) - PIECE_BYTES // 4)
    data, size = read(start, PIECE_BYTES)
    first = min(offset - start, len(data))
    last = min(first + length, len(data))
    skipped = min(data.find(b"\n", 0, first) + 1 or find_first_character(data), first) if start else 0
    if start + len(data) < size:
        data = data[: data.rfind(b"\n", last) + 1 or max(_cut_long_line(data), last)]
    parts = render_html(data[skipped:first]), render_html(data[first:last]), render_html(data[last:])
    html = format_html("{}<mark>{}</mark>{}", *parts)
    end = start + len(data)
    return Piece(html, start + skipped, end, size, is_reset=True, shown=end)


def answer_piece(request: HttpRequest, read: Read, *, is_over: bool, file: str = "") -> JsonResponse:
    """Answer the piece that `?after=`, `?before=`, `?beyond=` or `?at=` names, by default the newest.

    `file` tells the file that is read from others of its name: who names another one in `?file=` gets the newest piece.
    The answer says its stamp, with which the same may be asked again.
    """
    piece = _read_piece(request, read, is_over=is_over) if request.GET.get("file", file) == file else None
    said = asdict(piece or read_tail(read, is_over=is_over)) | {"file": file}
    return JsonResponse(said, headers={stamps.HEADER: stamps.get_stamp(request)})


def _read_piece(request: HttpRequest, read: Read, *, is_over: bool) -> Piece | None:
    names = ("before", "after", "beyond", "at")
    earlier, later, next_one, place = (parse_number(request.GET.get(name)) for name in names)
    if earlier is not None:
        return read_before(read, earlier)
    if later is not None:
        return read_after(read, later, is_over=is_over)
    if next_one is not None:
        return read_next(read, next_one, is_over=is_over)
    if place is not None:
        return read_around(read, place, parse_number(request.GET.get("length")) or 0)
    return None


def answer_download(pieces: Iterable[bytes], name: str) -> StreamingHttpResponse:
    """Answer the whole output as a text file, piece by piece."""
    answered = StreamingHttpResponse(pieces, content_type="text/plain; charset=utf-8")
    answered["Content-Disposition"] = content_disposition_header(True, name)
    return answered


def read_pieces(read: Read) -> Iterator[bytes]:
    """Yield the whole output."""
    offset = 0
    while data := read(offset, PIECE_BYTES)[0]:
        yield data
        offset += len(data)
