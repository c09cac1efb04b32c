"""Showing what commands and jobs print: by pieces of a file that grows, the newest first, with colours made safe."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.utils.html import escape, format_html
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString, mark_safe

from autosubmit_portal.admin.base import whole_number

# Reads `limit` bytes from `offset`; answers them and the size of the whole.
Read = Callable[[int, int], tuple[bytes, int]]

PIECE_BYTES = 64 * 1024
# Who is further behind than this jumps to the end.
FAR_BEHIND_BYTES = 16 * PIECE_BYTES
# A line that is not finished yet waits for its end, unless it is as long as this.
LONG_LINE_BYTES = 4096

_COLOUR = re.compile(r"\x1b\[([0-9;]*)m")
_OTHER_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-ln-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_SHOWN_CODES = frozenset({1, *range(30, 38), *range(90, 98)})


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an output as HTML: bytes `start` to `end` of `size`; `is_reset` when it follows nothing before it."""

    html: str
    start: int
    end: int
    size: int
    is_reset: bool = False
    is_over: bool = False


def tail(read: Read, *, is_over: bool, is_reset: bool = True) -> Piece:
    """Return the newest piece."""
    size = read(0, 0)[1]
    start = max(0, size - PIECE_BYTES)
    data, size = read(start, PIECE_BYTES)
    skipped = data.find(b"\n") + 1 if start else 0
    data = _whole_lines(data[skipped:], is_over=is_over)
    start += skipped
    return Piece(to_html(data), start, start + len(data), size, is_reset, is_over)


def after(read: Read, offset: int, *, is_over: bool) -> Piece:
    """Return what follows `offset`; the newest piece when the output was cut or has run far ahead."""
    size = read(0, 0)[1]
    if offset > size or size - offset > FAR_BEHIND_BYTES:
        return tail(read, is_over=is_over)
    data, size = read(offset, PIECE_BYTES)
    data = _whole_lines(data, is_over=is_over)
    end = offset + len(data)
    return Piece(to_html(data), offset, end, size, is_over=is_over and end >= size)


def before(read: Read, offset: int) -> Piece:
    """Return what comes right before `offset`."""
    offset = min(offset, read(0, 0)[1])
    start = max(0, offset - PIECE_BYTES)
    data, size = read(start, offset - start)
    skipped = data.find(b"\n") + 1 if start else 0
    return Piece(to_html(data[skipped:]), start + skipped, offset, size)


def beyond(read: Read, offset: int, *, is_over: bool) -> Piece:
    """Return what comes right after `offset`, however much follows it."""
    data, size = read(offset, PIECE_BYTES)
    data = _whole_lines(data, is_over=is_over or offset + len(data) < size)
    end = offset + len(data)
    return Piece(to_html(data), offset, end, size, is_over=is_over and end >= size)


def around(read: Read, offset: int, length: int) -> Piece:
    """Return the lines around the `length` bytes at `offset`, which are marked."""
    start = max(0, min(offset, read(0, 0)[1]) - PIECE_BYTES // 4)
    data, size = read(start, PIECE_BYTES)
    skipped = data.find(b"\n", 0, max(0, offset - start)) + 1 if start else 0
    first, last = offset - start, min(offset - start + length, len(data))
    if start + len(data) < size:
        data = data[: data.rfind(b"\n", last) + 1 or len(data)]
    parts = to_html(data[skipped:first]), to_html(data[first:last]), to_html(data[last:])
    html = format_html("{}<mark>{}</mark>{}", *parts)
    return Piece(html, start + skipped, start + len(data), size, is_reset=True)


def answer(request: HttpRequest, read: Read, *, is_over: bool, file: str = "") -> JsonResponse:
    """Answer the piece that `?after=`, `?before=`, `?beyond=` or `?at=` names, by default the newest.

    `file` tells the file that is read from others of its name: who names another one in `?file=` gets the newest piece.
    """
    piece = _piece(request, read, is_over=is_over) if request.GET.get("file", file) == file else None
    return JsonResponse(asdict(piece or tail(read, is_over=is_over)) | {"file": file})


def _piece(request: HttpRequest, read: Read, *, is_over: bool) -> Piece | None:
    names = ("before", "after", "beyond", "at")
    earlier, later, next_one, place = (whole_number(request.GET.get(name)) for name in names)
    if earlier is not None:
        return before(read, earlier)
    if later is not None:
        return after(read, later, is_over=is_over)
    if next_one is not None:
        return beyond(read, next_one, is_over=is_over)
    if place is not None:
        return around(read, place, whole_number(request.GET.get("length")) or 0)
    return None


def download(pieces: Iterable[bytes], name: str) -> StreamingHttpResponse:
    """Answer the whole output as a text file, piece by piece."""
    answered = StreamingHttpResponse(pieces, content_type="text/plain; charset=utf-8")
    answered["Content-Disposition"] = content_disposition_header(True, name)
    return answered


def pieces(read: Read) -> Iterator[bytes]:
    """Yield the whole output."""
    offset = 0
    while data := read(offset, PIECE_BYTES)[0]:
        yield data
        offset += len(data)


def _whole_lines(data: bytes, *, is_over: bool) -> bytes:
    end = data.rfind(b"\n") + 1
    return data if is_over or len(data) - end > LONG_LINE_BYTES else data[:end]


def to_html(data: bytes) -> SafeString:
    """Return terminal output as HTML: escaped, colours as classes, every other control sequence dropped."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROL.sub("", _OTHER_SEQUENCE.sub("", text))
    parts = _COLOUR.split(text)
    html: list[str] = [escape(parts[0])]
    for codes, part in zip(parts[1::2], parts[2::2], strict=True):
        classes = " ".join(f"ansi-{code}" for code in _codes(codes))
        html.append(f'<span class="{classes}">{escape(part)}</span>' if classes and part else escape(part))
    return mark_safe("".join(html).replace("\x1b", ""))  # noqa: S308  # every part is escaped or a number of ours


def _codes(text: str) -> list[int]:
    codes = [int(code) for code in text.split(";") if code]
    return [code for code in codes if code in _SHOWN_CODES]
