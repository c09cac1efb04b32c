"""The metrics that users have their jobs report, as Autosubmit collects them at the end of a job.

Source: table `user_metrics` of `<expid>/tmp/metrics_<expid>.db`, or of the schema of the experiment in PostgreSQL.
Values are text, whatever they mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from autosubmit_portal.sentences import say
from jobs.autosubmit.database import Source, UnreadableDatabase, read_rows
from jobs.autosubmit.records import Column, list_columns, read_record
from jobs.autosubmit.values import to_count, to_text

MOST_METRICS = 100_000
"""More are not read: an answer holds all metrics of a run at once."""
MOST_BYTES = 32 * 1024 * 1024
LONGEST_VALUE = 1024 * 1024

_TABLE = "user_metrics"


class UnreadableMetrics(Exception):
    """The metrics of an experiment cannot be read now; the text says why."""


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """One value that one job reported; `modified` is the time of that, as Autosubmit wrote it (ISO 8601)."""

    job_name: Annotated[str, Column(to_text)]
    metric_name: Annotated[str, Column(to_text)]
    metric_value: Annotated[str, Column(partial(to_text, longest=LONGEST_VALUE))]
    modified: Annotated[str, Column(to_text)]


def read_metric_runs(source: Source) -> list[int]:
    """Return the numbers of the runs that have metrics, newest first. Raises UnreadableMetrics."""
    found = _read(source, ("run_id",), "WHERE run_id > 0 GROUP BY run_id ORDER BY run_id DESC")
    return [run_id for run_id in (to_count(row.get("run_id")) for row in found) if run_id]


def read_metrics(source: Source, run_id: int) -> list[MetricRecord]:
    """Return the metrics of a run in the order in which they were written. Raises UnreadableMetrics."""
    clause = f"WHERE run_id = {run_id:d} ORDER BY user_metric_id"
    return [read_record(MetricRecord, row) for row in _read(source, [*list_columns(MetricRecord)], clause)]


def _read(source: Source, columns: Sequence[str], clause: str) -> list[dict[str, Any]]:
    try:
        found = read_rows(source, _TABLE, columns, f"{clause} LIMIT {MOST_METRICS + 1}", most_bytes=MOST_BYTES)
    except FileNotFoundError:
        return []
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableMetrics(
            say("The metrics {source} cannot be read: {error}.", source=source, error=error)
        ) from error
    if len(found) > MOST_METRICS:
        raise UnreadableMetrics(
            say(
                "The metrics {source} cannot be read: there are more than {most}.",
                source=source,
                most=f"{MOST_METRICS:,}",
            )
        )
    return found
