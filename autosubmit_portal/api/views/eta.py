"""The route of the time that an experiment has left."""

from dataclasses import asdict

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.mirrored import MirroredViewSet
from autosubmit_portal.api.openapi.documentation import answer, operation
from autosubmit_portal.api.query.queries import EtaQuery
from autosubmit_portal.api.serializers.jobs import EtaItem
from experiments.actions.refusals import InvalidParameters
from experiments.models import Experiment
from jobs.eta import ChunkJob, estimate
from jobs.models import Job


class EtaViewSet(MirroredViewSet):
    """How long a section of an experiment still takes."""

    tag = "Experiments"

    @operation(
        "get_eta",
        "Estimate the time that a section has left",
        {200: answer(EtaItem, "The estimate.")},
        parameters=[EtaQuery],
    )
    @action(detail=False, name="Time left")
    def eta(self, request: Request, expid: str) -> Response:
        """Estimate how long a section still takes: the mean time of its complete chunks, times how many are left.

        A chunk is all jobs of that number, whatever their start date or member; it took from the first start to the
        last end. Chunks that run at the same time are not taken into account.
        """
        query = EtaQuery.read(request)
        experiment = self.find_mirrored(request, expid, query.get("site"), showing=Job)
        return Response(asdict(estimate(_read_chunk_jobs(experiment, query["section"]))))


def _read_chunk_jobs(experiment: Experiment, section: str) -> list[ChunkJob]:
    """Return the jobs of a section that have a chunk; raise InvalidParameters if there are none. One query."""
    columns = ("chunk", "status", "started_at", "finished_at")
    jobs = list(Job.objects.filter(experiment=experiment, section=section).values_list(*columns))
    if not jobs:
        raise InvalidParameters({"section": [f"{experiment.expid} has no jobs of the section {section}."]})
    chunked = [ChunkJob(chunk, *others) for chunk, *others in jobs if chunk is not None]
    if not chunked:
        raise InvalidParameters({"section": [f"The jobs of the section {section} have no chunks."]})
    return chunked
