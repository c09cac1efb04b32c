"""The route of the wrappers of an experiment."""

from itertools import groupby
from operator import itemgetter
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.mirrored import MirroredViewSet
from autosubmit_portal.api.openapi.documentation import answer, operation
from autosubmit_portal.api.query.queries import SiteQuery
from autosubmit_portal.api.serializers.jobs import WrapperList
from experiments.models import Experiment
from jobs.models import Job


class WrapperViewSet(MirroredViewSet):
    """The wrappers of an experiment."""

    tag = "Wrappers"

    @operation(
        "list_wrappers",
        "List the wrappers of an experiment",
        {200: answer(WrapperList, "Its wrappers, by name.")},
        parameters=[SiteQuery],
    )
    def list(self, request: Request, expid: str) -> Response:
        """List the wrappers with their jobs, each job in the wrapper that it was last sent in.

        Before any was sent these are the ones that `create` or `inspect` planned with `--check_wrapper`.
        """
        query = SiteQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"), showing=Job)
        return Response({"wrappers": _list_wrappers(experiment)})


def _list_wrappers(experiment: Experiment) -> list[dict[str, Any]]:
    jobs = Job.objects.filter(experiment=experiment).exclude(wrapper="").order_by("wrapper", "name")
    grouped = groupby(jobs.values_list("wrapper", "name"), key=itemgetter(0))
    return [{"wrapper_name": wrapper, "job_names": [name for _, name in rows]} for wrapper, rows in grouped]
