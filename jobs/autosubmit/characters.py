"""Read UTF-8 in parts, which may begin or end inside a character."""

import codecs
from typing import Any

_LONGEST = 4  # bytes of a character


def decode_whole(data: bytes, *, is_final: bool) -> tuple[str, int]:
    """Return the complete characters at the beginning of `data`, and their number of bytes.

    With `is_final` nothing follows, and incomplete characters are replaced.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_final)
    return text, len(data) - len(decoder.getstate()[0])


def find_first_character(data: bytes) -> int:
    """Return where the first character begins; 0 if none does, because it is not UTF-8."""
    places = range(min(_LONGEST, len(data)))
    return next((place for place in places if data[place] & 0xC0 != 0x80), 0)


def describe_part(data: bytes, start: int, size: int, *, is_from_end: bool, is_ended: bool) -> dict[str, Any]:
    """Return the whole characters that a part holds, and where they are in a text that has `size` bytes now.

    With `is_from_end` the part may begin inside a character; with `is_ended` nothing more is written to the text.
    """
    skipped = find_first_character(data) if is_from_end else 0
    is_last = is_ended and start + len(data) >= size
    text, length = decode_whole(data[skipped:], is_final=is_last)
    end = start + skipped + length
    return {
        "offset": start + skipped,
        "next_offset": end,
        "size": size,
        "text": text,
        "is_over": is_ended and end >= size,
    }
