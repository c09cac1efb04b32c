"""Routes of the metrics that users have their jobs report. They are read from the store when somebody asks."""

from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api import examples
from autosubmit_portal.api.documentation import EXPID, RUN_ID, answer, operation
from autosubmit_portal.api.formats import PortalView
from autosubmit_portal.api.lookup import find_experiment
from autosubmit_portal.api.queries import SiteQuery
from autosubmit_portal.api.shapes.jobs import MetricList, MetricRunList
from experiments.autosubmit.store import locate
from jobs.autosubmit.database import Source
from jobs.autosubmit.user_metrics import read_metric_runs, read_metrics
from jobs.models import Job


class MetricRunsView(PortalView):
    """The runs that have metrics."""

    @operation(
        "list_runs_with_user_metrics",
        "List the runs that have user metrics",
        parameters=[EXPID, SiteQuery],
        answers={200: answer(MetricRunList, "Their numbers, newest first.", examples.METRIC_RUNS)},
        errors=[400, 404, 409, 503],
    )
    def get(self, request: Request, expid: str) -> Response:
        """List the runs whose jobs reported metrics, newest first."""
        runs = read_metric_runs(_source(request, expid))
        return Response({"runs": [{"run_id": run_id} for run_id in runs]})


class MetricsView(PortalView):
    """The metrics of a run."""

    @operation(
        "list_user_metrics",
        "List the user metrics of a run",
        parameters=[EXPID, RUN_ID, SiteQuery],
        answers={200: answer(MetricList, "Its metrics; none of a run without any.", examples.METRICS)},
        errors=[400, 404, 409, 503],
    )
    def get(self, request: Request, expid: str, run_id: int) -> Response:
        """List the metrics that the jobs of a run reported, in the order in which they were written down."""
        metrics = read_metrics(_source(request, expid), run_id)
        return Response({"run_id": run_id, "metrics": [asdict(metric) for metric in metrics]})


def _source(request: Request, expid: str) -> Source:
    """Return where the metrics of an experiment are; raise BrokenStore when its site has no readable store."""
    query = SiteQuery.of(request)
    experiment = find_experiment(request, expid, query.get("site"), showing=Job)
    store = locate(experiment.site.home_folder, experiment.site.configuration_file)
    return store.metrics_database(experiment.expid)
