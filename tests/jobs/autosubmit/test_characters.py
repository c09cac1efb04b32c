"""Reading UTF-8 by parts, whatever was written."""

from random import Random

import pytest

from jobs.autosubmit.characters import decode_whole, find_first_character
from tests.support import fuzz


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_the_parts_of_whatever_is_printed_make_the_whole(seed: int) -> None:
    random = Random(seed)
    for _ in range(30):
        data, parts, at = fuzz.printed(random), [], 0
        while at < len(data):
            piece = data[at : at + random.randrange(4, 3000)]
            text, length = decode_whole(piece, is_final=at + len(piece) == len(data))
            assert length > 0
            parts.append(text)
            at += length
        assert "".join(parts) == data.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"a", 0), ("é".encode()[1:] + b"a", 1), ("😀".encode()[1:] + b"a", 3), (b"\xbf" * 9, 0), (b"", 0)],
)
def test_a_part_begins_where_a_character_does(data: bytes, place: int) -> None:
    assert find_first_character(data) == place
