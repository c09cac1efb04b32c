"""Whether the portal works, for a load balancer."""

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal import health
from autosubmit_portal.agent.findings import Level
from autosubmit_portal.api.http.renderers import PortalView
from autosubmit_portal.api.openapi.documentation import answer, operation
from autosubmit_portal.api.query.queries import HealthQuery
from autosubmit_portal.api.serializers.common import Health

# What this web server needs to answer at all. Whatever else fails, people read what is known and are told what is not;
# to take every server off would help nobody. Actions wait for a broker or a worker that is away.
NEEDED = ("database", "migrations")


class HealthView(PortalView):
    """The health of the portal."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()  # to a load balancer a refusal would mean that the portal is down
    renderer_classes = (JSONRenderer,)

    @operation(
        "get_health",
        "Ask whether the portal works",
        {200: answer(Health, "It works."), 503: answer(Health, "It does not.", migrations="behind")},
        is_open=True,
        parameters=[HealthQuery],
        errors=[400],
    )
    def get(self, request: Request) -> Response:
        """Answer one word for each part. Needs no sign-in; the command `doctor` tells the details.

        It is a `503` when the database cannot be read, so that a load balancer asks another server; with `strict=true`,
        for monitors, it is one whatever part fails.
        """
        strict = HealthQuery.read(request)["strict"]
        findings = health.examine()
        failed = {finding.part for finding in findings if finding.level is Level.FAIL}
        works = not (failed if strict else failed.intersection(NEEDED))
        words = health.get_words(findings)
        return Response(words, status=200 if works else 503, headers={"Cache-Control": "no-store"})
