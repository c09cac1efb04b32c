"""Routes of the runs of an experiment."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.http.conditional import RevalidatedViewSet
from autosubmit_portal.api.mirrored import MirroredViewSet
from autosubmit_portal.api.openapi.documentation import CONDITIONAL, answer, operation
from autosubmit_portal.api.query.queries import RunsQuery
from autosubmit_portal.api.query.selection import make_selection
from autosubmit_portal.api.serializers.experiments import RunItem, RunList
from experiments.models import Run


class RunViewSet(MirroredViewSet, RevalidatedViewSet):
    """The runs of an experiment."""

    tag = "Runs"

    items = ("runs", "run_id")

    def get_row_address(self, name: Any, row: dict[str, Any]) -> str:
        """Return the address of the configuration of a run."""
        return self.get_address("run-configuration-config", {**self.kwargs, "run_id": name})

    @operation(
        "list_runs",
        "List the runs of an experiment",
        {200: answer(RunList, "Its runs, oldest first.")},
        parameters=[RunsQuery, *CONDITIONAL],
    )
    def list(self, request: Request, expid: str) -> Response:
        """List the runs in Autosubmit's history of the experiment, oldest first."""
        query = RunsQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"))
        self.revalidate(request, experiment)
        chosen = make_selection(RunItem, query.get("fields"))
        rows = chosen.read_rows(Run.objects.filter(experiment=experiment).annotate_host().order_by("run_id"), [])
        return Response({"runs": chosen.write_all(rows)})
