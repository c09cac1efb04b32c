"""Common to resources of mirrored rows: they say whether, and since when, their rows are stale."""

from datetime import datetime
from typing import Any

from django.db.models import Model
from rest_framework.request import Request

from autosubmit_portal.api.http.errors import NeverRead
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_mirrored
from autosubmit_portal.api.serializers.fields import write_instant
from experiments.models import Experiment

HEADER = "Portal-Stale-Since"


class MirroredViewSet(PortalViewSet):
    """What the mirror knows of an experiment; one object serves one request.

    While the files cannot be read, it shows what was read last, with the header Portal-Stale-Since.
    """

    stale_since: datetime | None = None

    def find_mirrored(
        self, request: Request, expid: str, site: str | None, *, showing: type[Model] = Experiment
    ) -> Experiment:
        """Return the experiment as `lookup.find_mirrored` does; raise NeverRead when nothing is known of it."""
        experiment = find_mirrored(request, expid, site, showing=showing)
        self.require_read(experiment)
        return experiment

    def require_read(self, experiment: Experiment) -> None:
        """Note since when the rows of an experiment are stale; raise NeverRead if they could never be read."""
        if experiment.is_unread:
            raise NeverRead(f"Nothing is known of the jobs of {experiment.expid}. {experiment.problem}")
        self.stale_since = experiment.problem_since

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the header, also to a 304."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.stale_since:
            response[HEADER] = write_instant(self.stale_since)
        return response
