"""Reading the metrics that jobs report, also from a file that means harm."""

from pathlib import Path

import pytest

from jobs.autosubmit import user_metrics
from jobs.autosubmit.user_metrics import MetricRecord, UnreadableMetrics, read_metric_runs, read_metrics
from tests.support import stores

INSERT = "INSERT INTO user_metrics (run_id, job_name, metric_name, metric_value, modified) VALUES (?, ?, ?, ?, ?)"


def make(tmp_path: Path, *rows: tuple[object, ...]) -> Path:
    values = [(INSERT, row) for row in rows]
    return stores.make_database(tmp_path / "metrics_a000.db", stores.USER_METRICS, values)


def test_metrics_come_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    path = make(tmp_path, (1, "b", "x", "1", "now"), (1, "a", "x", "2", "now"), (2, "a", "x", "3", "now"))
    assert read_metrics(path, 1) == [MetricRecord("b", "x", "1", "now"), MetricRecord("a", "x", "2", "now")]


def test_values_of_other_types_become_text(tmp_path: Path) -> None:
    path = make(tmp_path, (1, None, b"\x00", 1.5, "a\0b"))
    assert read_metrics(path, 1) == [MetricRecord("", "", "1.5", "a�b")]


def test_a_long_value_is_whole(tmp_path: Path) -> None:
    path = make(tmp_path, (1, "a", "x", "y" * 100_000, "now"))
    assert len(read_metrics(path, 1)[0].metric_value) == 100_000


def test_runs_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    path = make(tmp_path, *((run, "a", "x", "1", "now") for run in (2, -1, "many", None, 10**12, 3)))
    assert read_metric_runs(path) == [3, 2]


def test_more_metrics_than_an_answer_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, *((1, "a", str(number), "1", "now") for number in range(4)))
    monkeypatch.setattr(user_metrics, "MOST_METRICS", 3)
    with pytest.raises(UnreadableMetrics, match="more than 3"):
        read_metrics(path, 1)


def test_more_text_than_an_answer_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, (1, "a", "x", "y" * 2000, "now"))
    monkeypatch.setattr(user_metrics, "MOST_BYTES", 1000)
    with pytest.raises(UnreadableMetrics, match="holds more than"):
        read_metrics(path, 1)


def test_a_table_that_computes_is_refused(tmp_path: Path) -> None:
    path = stores.make_database(
        tmp_path / "metrics_a000.db", "CREATE VIEW user_metrics AS SELECT 1 AS run_id, 'a' AS job_name;"
    )
    with pytest.raises(UnreadableMetrics, match="no table user_metrics"):
        read_metrics(path, 1)
