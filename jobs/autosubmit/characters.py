"""Reading UTF-8 by parts, whose borders may lie within a character."""

import codecs

_LONGEST = 4  # bytes of a character


def decode_whole(data: bytes, *, is_final: bool) -> tuple[str, int]:
    """Return the whole characters at the beginning of `data` and how many bytes they are.

    With `is_final` nothing follows: what is no whole character is replaced.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=is_final)
    return text, len(data) - len(decoder.getstate()[0])


def find_first_character(data: bytes) -> int:
    """Return where the first character begins; 0 where none does, as in what is no UTF-8."""
    places = range(min(_LONGEST, len(data)))
    return next((place for place in places if data[place] & 0xC0 != 0x80), 0)
