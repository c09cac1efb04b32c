"""The route that says what one may do, for scripts that want to know before they ask."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment
from autosubmit_portal.api.openapi.documentation import answer, operation
from autosubmit_portal.api.query.queries import SiteQuery
from autosubmit_portal.api.serializers.experiments import PermissionList
from autosubmit_portal.audit.origin import get_actor
from experiments.catalogue.kinds import CATALOGUE, Target


class PermissionViewSet(PortalViewSet):
    """What one may request of an experiment."""

    tag = "Experiments"
    title = "Permissions"

    @operation(
        "list_permissions",
        "List what you may do",
        {200: answer(PermissionList, "A decision for each action.")},
        parameters=[SiteQuery],
    )
    def list(self, request: Request, expid: str) -> Response:
        """Tell for each action whether you may request it of this experiment, and why or what is missing.

        It is about permission only: whether the state of the experiment allows the action now, a dry run tells.
        """
        experiment = find_experiment(request, expid, SiteQuery.read(request).get("site"))
        kinds = [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE]
        decisions = policy.decide_each(get_actor(request), kinds, site=experiment.site, experiment=experiment)
        permissions: list[dict[str, Any]] = [
            {
                "kind": kind.name,
                "title": kind.title,
                "allowed": decision.allowed,
                "via": decision.via,
                "reason": decision.reason,
            }
            for kind, decision in zip(kinds, decisions, strict=True)
        ]
        return Response({"expid": experiment.expid, "site": experiment.site.slug, "permissions": permissions})
