"""Routes of the metrics that users have their jobs report. They are read from the store when somebody asks."""

from dataclasses import asdict
from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.http.conditional import RevalidatedViewSet
from autosubmit_portal.api.objects import find_mirrored
from autosubmit_portal.api.openapi.documentation import CONDITIONAL, answer, operation
from autosubmit_portal.api.query.queries import SiteQuery
from autosubmit_portal.api.serializers.jobs import MetricList, MetricRunList
from experiments.models import Experiment
from experiments.user_metrics import read_metric_runs, read_metrics
from jobs.models import Job


class UserMetricsViewSet(RevalidatedViewSet):
    """The metrics that the jobs of an experiment reported."""

    tag = "Runs"
    items = ("runs", "run_id")

    def list_links(self, data: Any) -> dict[str, str]:
        """Return no other page: the runs of the list lead to their metrics."""
        return {}

    def get_row_address(self, name: Any, row: dict[str, Any]) -> str:
        """Return the address of the metrics of a run."""
        return self.get_address("user-metrics-user-metrics", {**self.kwargs, "run_id": name})

    def find_changed(self, request: Request, expid: str) -> Experiment:
        """Return an experiment, unless the client has its metrics; raise BrokenStore when they cannot be read."""
        query = SiteQuery.read(request)
        experiment = find_mirrored(request, expid, query.get("site"), showing=Job)
        self.revalidate_file(request, experiment, "metrics")
        return experiment

    @operation(
        "list_runs_with_user_metrics",
        "List the runs that have user metrics",
        {200: answer(MetricRunList, "Their numbers, newest first.")},
        parameters=[SiteQuery, *CONDITIONAL],
        errors=[503],
    )
    @action(detail=False, url_path="user-metrics-runs")
    def user_metrics_runs(self, request: Request, expid: str) -> Response:
        """List the runs whose jobs reported metrics, newest first."""
        runs = read_metric_runs(self.find_changed(request, expid))
        return Response({"runs": [{"run_id": run_id} for run_id in runs]})

    @operation(
        "list_user_metrics",
        "List the user metrics of a run",
        {200: answer(MetricList, "Its metrics; none of a run without any.")},
        parameters=[SiteQuery, *CONDITIONAL],
        errors=[503],
    )
    @action(detail=False, url_path="runs/<int:run_id>/user-metrics")
    def user_metrics(self, request: Request, expid: str, run_id: int) -> Response:
        """List the metrics that the jobs of a run reported, in the order in which they were written down."""
        metrics = read_metrics(self.find_changed(request, expid), run_id)
        return Response({"run_id": run_id, "metrics": [asdict(metric) for metric in metrics]})
