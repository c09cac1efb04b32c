"""The metrics that the jobs of an experiment reported, read by the agent of its site."""

from typing import Any

from autosubmit_portal.agent.protocol import ProtocolError, fields
from experiments import reads
from experiments.models import Experiment
from jobs.autosubmit.user_metrics import LONGEST_VALUE, MetricRecord, UnreadableMetrics
from jobs.autosubmit.values import LARGEST_NUMBER


def read_metric_runs(experiment: Experiment) -> list[int]:
    """Return the numbers of the runs that have metrics, newest first. Raises UnreadableMetrics and BrokenStore."""
    runs = _read(experiment, "metric runs", {}).get("runs")
    with reads.understand(experiment.site):
        if not isinstance(runs, list):
            raise ProtocolError("“runs” must be a list")
        return [fields.take_number({"run": run}, "run", most=LARGEST_NUMBER) for run in runs]


def read_metrics(experiment: Experiment, run_id: int) -> list[MetricRecord]:
    """Return the metrics of a run in the order in which they were written. Raises as `read_metric_runs`."""
    if run_id > LARGEST_NUMBER:
        return []
    document = _read(experiment, "metrics", {"run_id": run_id})
    with reads.understand(experiment.site):
        return [_take_metric(row) for row in fields.take_objects(document, "metrics")]


def _read(experiment: Experiment, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return reads.read_document(experiment, what, arguments)
    except (reads.Missing, reads.Unreadable) as error:
        raise UnreadableMetrics(str(error)) from error


def _take_metric(row: dict[str, Any]) -> MetricRecord:
    return MetricRecord(
        job_name=fields.take_text(row, "job_name", most=1_000),
        metric_name=fields.take_text(row, "metric_name", most=1_000),
        metric_value=fields.take_text(row, "metric_value", most=LONGEST_VALUE),
        modified=fields.take_text(row, "modified", most=1_000),
    )
