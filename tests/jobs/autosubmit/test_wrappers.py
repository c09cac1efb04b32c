"""Reading which jobs are wrapped together, in each form that Autosubmit has kept that in."""

from pathlib import Path

import pytest

from jobs.autosubmit.job_list import UnreadableJobList
from jobs.autosubmit.wrappers import add_wrappers, read_wrappers
from tests.support import stores
from tests.support.job_lists import read_job_list

OLD = """
CREATE TABLE job_package (exp_id, package_name, job_name);
CREATE TABLE wrapper_job_package (exp_id, package_name, job_name);
"""


def make(tmp_path: Path, script: str) -> Path:
    return stores.make_database(tmp_path / "job_packages_a000.db", script)


def test_a_job_is_in_the_wrapper_that_was_written_last(tmp_path: Path) -> None:
    sent = "INSERT INTO job_package VALUES ('a000', 'w1', 'a'), ('a000', 'w1', 'b'), ('a000', 'w2', 'a');"
    assert read_wrappers(make(tmp_path, OLD + sent)) == {"a": "w2", "b": "w1"}


def test_a_job_is_in_the_wrapper_of_the_highest_id_since_there_are_ids(tmp_path: Path) -> None:
    sent = f"INSERT INTO wrappers_jobs VALUES ({2**40}, 'w2', 'a', 'now'), (9, 'w1', 'a', 'now');"
    assert read_wrappers(make(tmp_path, stores.WRAPPERS + sent)) == {"a": "w2"}


@pytest.mark.parametrize(
    "planned",
    [
        OLD + "INSERT INTO wrapper_job_package VALUES ('a000', 'w1', 'a');",
        stores.WRAPPERS + "INSERT INTO preview_wrappers_jobs VALUES (1, 'w1', 'a', 'now');",
    ],
    ids=["old", "4.1.17"],
)
def test_planned_wrappers_count_while_there_are_no_others(tmp_path: Path, planned: str) -> None:
    assert read_wrappers(make(tmp_path, planned)) == {"a": "w1"}


def test_planned_wrappers_do_not_count_beside_those_that_were_sent(tmp_path: Path) -> None:
    rows = "INSERT INTO wrappers_jobs VALUES (1, 'w1', 'a', 'now');"
    rows += "INSERT INTO preview_wrappers_jobs VALUES (2, 'w2', 'a', 'now'), (2, 'w2', 'b', 'now');"
    assert read_wrappers(make(tmp_path, stores.WRAPPERS + rows)) == {"a": "w1"}


def test_a_file_that_is_not_there_or_has_other_tables_has_no_wrappers(tmp_path: Path) -> None:
    assert read_wrappers(tmp_path / "none.db") == {}
    assert read_wrappers(make(tmp_path, "CREATE TABLE jobs (name);")) == {}


def test_names_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    sent = "INSERT INTO job_package VALUES ('a000', ' ', 'a'), ('a000', NULL, 'b'), ('a000', x'00', 'c');"
    assert read_wrappers(make(tmp_path, OLD + sent)) == {}


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "job_packages_a000.db"
    path.write_bytes(b"no database" * 200)
    with pytest.raises(UnreadableJobList, match=r"wrappers in .*job_packages_a000\.db cannot be read"):
        read_wrappers(path)


def test_the_jobs_of_a_list_get_the_names_of_their_wrappers() -> None:
    jobs = read_job_list(stores.FOLDER / "4.1.12.pkl").jobs
    named = add_wrappers(jobs, {jobs[0].name: "w1", "another": "w2"})
    assert [job.wrapper for job in named] == ["w1", "", "", ""]
    assert [job.name for job in named] == [job.name for job in jobs]
