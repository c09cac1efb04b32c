"""Showing what commands and jobs print: by pieces of a file that grows, the newest first, with colours made safe."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.utils.html import escape
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


def answer(request: HttpRequest, read: Read, *, is_over: bool) -> JsonResponse:
    """Answer the piece that `?after=` or `?before=` names, by default the newest."""
    earlier, later = (whole_number(request.GET.get(name)) for name in ("before", "after"))
    if earlier is not None:
        piece = before(read, earlier)
    elif later is not None:
        piece = after(read, later, is_over=is_over)
    else:
        piece = tail(read, is_over=is_over)
    return JsonResponse(asdict(piece))


def download(read: Read, name: str) -> StreamingHttpResponse:
    """Answer the whole output as a text file, piece by piece."""
    answered = StreamingHttpResponse(_pieces(read), content_type="text/plain; charset=utf-8")
    answered["Content-Disposition"] = f'attachment; filename="{name}"'
    return answered


def _pieces(read: Read) -> Iterator[bytes]:
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
