"""Which edges can be shown, and what is said of the others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from jobs.autosubmit.edges import UNKNOWN, select_edges
from jobs.autosubmit.job_list import read_dependencies
from tests.support import stores

EDGE = ("a", "b")


def test_edges_of_jobs_that_are_not_in_the_list_are_counted_and_named() -> None:
    found = select_edges([EDGE, ("a", "x"), ("y", "b"), ("x", "y")], ["a", "b"])
    assert (found.between, found.are_known) == ({EDGE}, True)
    assert found.note.startswith("3 dependencies name jobs that are not in the job list, and cannot be shown: x, y.")


def test_the_names_of_many_unknown_jobs_are_bounded() -> None:
    note = select_edges([("a", f"x{number:04}" + "y" * 500) for number in range(2000)], ["a"]).note
    assert "and 1,995 more" in note
    assert len(note) < 1000


def test_nothing_is_said_of_edges_that_are_all_known() -> None:
    assert select_edges([EDGE], ["a", "b"]).note == select_edges([], ["a", "b"]).note == ""


@pytest.mark.parametrize(("names", "note"), [(["a", "b"], UNKNOWN), (["a"], ""), ([], "")])
def test_several_jobs_without_any_edge_in_the_store_are_not_known_to_wait_for_nothing(
    names: list[str], note: str
) -> None:
    found = select_edges(None, names)
    assert (found.are_known, found.note) == (note == "", note)


def test_a_store_of_jobs_without_edges_is_told_from_a_store_without_edges(tmp_path: Path) -> None:
    path = stores.make_database(tmp_path / "structure_a000.db", stores.STRUCTURE)
    assert read_dependencies(path) is None
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("INSERT INTO experiment_structure VALUES ('a', 'a'), ('b', 'b')")
    assert read_dependencies(path) == []
