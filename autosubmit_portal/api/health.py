"""Whether the portal works, for a load balancer."""

from collections.abc import Callable

from django.db import DatabaseError, connection
from django_q.brokers import get_broker
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api import examples
from autosubmit_portal.api.documentation import answer, operation
from autosubmit_portal.api.formats import PortalView
from autosubmit_portal.api.shapes.common import Health
from experiments.models import Site


def database() -> str:
    """Ask the database for one row."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "down"
    return "ok"


def mirror() -> str:
    """Look when the mirror last looked at each site."""
    try:
        return "ok" if all(site.is_mirror_fresh for site in Site.objects.all()) else "stale"
    except DatabaseError:
        return "unknown"


def broker() -> str:
    """Ask the broker of the queue whether it is there."""
    try:
        return "ok" if get_broker().ping() else "down"
    except Exception:  # each broker fails in its own way
        return "down"


# Actions wait while the broker is away, and the supervisor sends them later: no reason to take the portal off.
NEEDED: dict[str, Callable[[], str]] = {"database": database, "mirror": mirror}
USEFUL: dict[str, Callable[[], str]] = {"broker": broker}


class HealthView(PortalView):
    """The health of the portal."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)

    @operation(
        "get_health",
        "Ask whether the portal works",
        is_open=True,
        answers={
            200: answer(Health, "It works.", examples.HEALTH),
            503: answer(Health, "It does not.", examples.HEALTH | {"mirror": "stale"}),
        },
    )
    def get(self, request: Request) -> Response:
        """Answer one word for each part. The only route that needs no sign-in; for load balancers."""
        words = {name: look() for name, look in (NEEDED | USEFUL).items()}
        works = all(words[name] == "ok" for name in NEEDED)
        return Response(words, status=200 if works else 503, headers={"Cache-Control": "no-store"})
