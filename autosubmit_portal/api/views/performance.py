"""The route of how an experiment performs. Its history and configuration are read from the store when somebody asks."""

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.mirrored import MirroredViewSet
from autosubmit_portal.api.openapi.documentation import answer, operation
from autosubmit_portal.api.query.queries import SiteQuery
from autosubmit_portal.api.serializers.performance import PerformanceItem
from experiments.performances import read_performance
from jobs.models import Job


class PerformanceViewSet(MirroredViewSet):
    """How fast an experiment simulates and what that costs."""

    tag = "Experiments"

    @operation(
        "get_performance",
        "Compute the performance of an experiment",
        {200: answer(PerformanceItem, "The metrics, and what each section took.")},
        parameters=[SiteQuery],
        errors=[503],
    )
    @action(detail=False, name="Performance")
    def performance(self, request: Request, expid: str) -> Response:
        """Compute the metrics of Autosubmit API's `/v3/performance`, and what the jobs of each section took.

        Metrics are of completed SIM jobs, of each its newest attempt; null where there is nothing to compute one from.
        Sections count all attempts at all jobs; their times are the middle of the completed attempts.
        """
        query = SiteQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"), showing=Job)
        return Response(PerformanceItem(read_performance(experiment)).data)
