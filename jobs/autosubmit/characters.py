"""Read UTF-8 in parts, which may begin or end inside a character."""

import codecs

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
