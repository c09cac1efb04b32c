"""The route of the Autosubmit of an experiment."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.action_requests import read_body, validate_body
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment
from autosubmit_portal.api.openapi.documentation import Body, answer, operation
from autosubmit_portal.api.query.queries import SiteQuery
from autosubmit_portal.api.serializers.programs import ProgramBody, ProgramItem
from autosubmit_portal.audit.origin import get_actor, make_origin
from experiments import programs
from experiments.actions.choose_program import choose_program, may_choose_program, require_choosing
from experiments.models import Experiment

_EXAMPLE = {"chosen": "old", "program": "old", "why": "chosen", "programs": {"old": "4.0.110", "next": "4.2.0"}}


class ProgramViewSet(PortalViewSet):
    """Which Autosubmit the commands of an experiment are of."""

    tag = "Experiments"
    title = "Program"

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer whether the person may choose."""
        found = find_experiment(self.request, self.kwargs["expid"], self.request.query_params.get("site"))
        return may_choose_program(found, self.request.user)

    @operation(
        "get_program",
        "Show the Autosubmit of an experiment",
        {200: answer(ProgramItem, "The program, and those of its site.", **_EXAMPLE)},
        parameters=[SiteQuery],
    )
    def list(self, request: Request, expid: str) -> Response:
        """Show which program of its site the commands of an experiment are of, and why: chosen, or by its version."""
        return Response(_describe(find_experiment(request, expid, SiteQuery.read(request).get("site"))))

    @operation(
        "choose_program",
        "Choose the Autosubmit of an experiment",
        {200: answer(ProgramItem, "The program, and those of its site.", **_EXAMPLE)},
        parameters=[SiteQuery],
        body=Body.make(ProgramBody, {"An older one": {"program": "old"}, "That of its version": {"program": ""}}),
    )
    def create(self, request: Request, expid: str) -> Response:
        """Choose by its name which program of its site the next commands of an experiment are of.

        What runs goes on with the one that it has. Needs the permission `experiments.choose_program`.
        """
        experiment = find_experiment(request, expid, SiteQuery.read(request).get("site"))
        actor, origin = get_actor(request), make_origin(request)
        require_choosing(experiment, actor=actor, origin=origin)
        name = validate_body(ProgramBody, read_body(request))["program"]
        choose_program(experiment, name, actor=actor, origin=origin)
        return Response(_describe(experiment))


def _describe(experiment: Experiment) -> dict[str, Any]:
    known = programs.list_programs(experiment.site)
    found = programs.choose(experiment, known)
    return {
        "expid": experiment.expid,
        "site": experiment.site.slug,
        "chosen": experiment.program,
        "program": found.name,
        "why": found.why,
        "programs": known,
    }
