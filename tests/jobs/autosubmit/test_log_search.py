"""Finding a text in a log, whatever the sizes of the log, of its lines and of the blocks that it is read in."""

import gzip
import random
from pathlib import Path

import pytest

from jobs.autosubmit.logs import reader
from jobs.autosubmit.logs.reader import Log
from jobs.autosubmit.logs.search import Match, search


def log_of(folder: Path, data: bytes, name: str = "x.log") -> Log:
    (folder / name).write_bytes(data)
    return Log(name, (folder / name).open("rb"))


def naive(data: bytes, text: str, *, ignore_case: bool) -> list[tuple[int, int]]:
    """Return line and offset of each match, as one would find them in memory."""
    hay, needle = (data.lower(), text.lower().encode()) if ignore_case else (data, text.encode())
    found, at = [], hay.find(needle)
    while at >= 0:
        found.append((data.count(b"\n", 0, at) + 1, at))
        at = hay.find(needle, at + len(needle))
    return found


def all_of(log: Log, text: str, *, limit: int = 100, ignore_case: bool = False) -> list[tuple[int, int]]:
    """Return line and offset of each match, found by as many searches as it takes."""
    offset, line, is_complete, matches = 0, 1, False, []
    while not is_complete:
        found = search(log, text, offset=offset, line=line, limit=limit, ignore_case=ignore_case)
        matches += found.matches
        offset, line, is_complete = found.next_offset, found.next_line, found.is_complete
    return [(match.line, match.offset) for match in matches]


def test_a_match_says_where_it_is_and_shows_its_line(tmp_path: Path) -> None:
    with log_of(tmp_path, "fine\nal\u00e9a ERROR 17\nfine\n".encode()) as log:
        found = search(log, "ERROR")
    assert found.matches == [Match(line=2, offset=11, length=5, excerpt="al\u00e9a ERROR 17")]
    assert found.is_complete


def test_upper_and_lower_case_are_alike_if_wanted(tmp_path: Path) -> None:
    with log_of(tmp_path, b"Error error") as log:
        assert len(search(log, "ERROR").matches) == 0
        assert [match.offset for match in search(log, "ERROR", ignore_case=True).matches] == [0, 6]


def test_a_text_is_no_pattern(tmp_path: Path) -> None:
    with log_of(tmp_path, b"abc a.c") as log:
        assert [match.offset for match in search(log, "a.c").matches] == [4]


def test_a_very_long_line_is_shown_in_part(tmp_path: Path) -> None:
    with log_of(tmp_path, b"x" * 1_000_000 + b"here" + b"y" * 1_000_000) as log:
        (match,) = search(log, "here").matches
    assert match.offset == 1_000_000
    assert (match.excerpt.startswith("x"), len(match.excerpt)) == (True, 80 + 4 + 200)


def test_a_search_stops_after_so_many_and_goes_on(tmp_path: Path) -> None:
    with log_of(tmp_path, b"one\n" * 5) as log:
        first = search(log, "one", limit=2)
        second = search(log, "one", limit=9, offset=first.next_offset, line=first.next_line)
    assert ([match.line for match in first.matches], first.is_complete) == ([1, 2], False)
    assert ([match.line for match in second.matches], second.is_complete) == ([3, 4, 5], True)


def test_a_search_takes_a_bounded_time_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.autosubmit.logs.search.MAX_SECONDS", 0.0)
    monkeypatch.setattr(reader, "BLOCK_BYTES", 1000)
    with log_of(tmp_path, b"fine\n" * 10_000 + b"ERROR\n") as log:
        first = search(log, "ERROR")
        assert (first.matches, first.is_complete) == ([], False)
        assert 0 < first.next_offset < 20_000
        assert all_of(log, "ERROR") == [(10_001, 50_000)]


@pytest.mark.parametrize("text", ["hunter2", "TOKEN=h", "b3Blbn", "hunter2 fine"])
@pytest.mark.parametrize("block", [7, 1000, 1_000_000])
def test_what_is_a_secret_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", block)
    key = "-----BEGIN PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END PRIVATE KEY-----\n"
    with log_of(tmp_path, f"{key}TOKEN=hunter2 fine\nERROR\n".encode()) as log:
        assert all_of(log, text) == []
        assert all_of(log, "ERROR") == [(5, len(key) + 19)]


def test_a_secret_beside_what_is_found_is_covered(tmp_path: Path) -> None:
    with log_of(tmp_path, b"ERROR with TOKEN=hunter2\n") as log:
        (match,) = search(log, "ERROR").matches
    assert match.excerpt == "ERROR with TOKEN=*******"


def test_what_is_written_after_a_search_is_found_by_going_on(tmp_path: Path) -> None:
    with log_of(tmp_path, b"fine\nERR") as log:
        first = search(log, "ERROR")
        with (tmp_path / "x.log").open("ab") as file:
            file.write(b"OR\n")
        (match,) = search(log, "ERROR", offset=first.next_offset, line=first.next_line).matches
    assert (match.line, match.offset) == (2, 5)


def test_a_compressed_log_is_searched_as_its_content(tmp_path: Path) -> None:
    with log_of(tmp_path, gzip.compress(b"fine\n" * 100_000 + b"ERROR\n"), "x.log.gz") as log:
        assert all_of(log, "ERROR") == [(100_001, 500_000)]


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_missed_wherever_the_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(reader, "BLOCK_BYTES", chance.choice([1, 3, 7, 50, 300, 1000]))
    data = bytes(chance.choice(b"ab\nA") for _ in range(chance.randint(0, 2000)))
    text, ignore_case = chance.choice(["a", "ab", "aba", "b\na", "AB"]), chance.random() < 0.5
    with log_of(tmp_path, data) as log:
        found = all_of(log, text, limit=chance.choice([1, 2, 100]), ignore_case=ignore_case)
    assert found == naive(data, text, ignore_case=ignore_case)
