"""What the pages of an experiment and of what belongs to it offer."""

from urllib.parse import urlencode

from django.urls import reverse

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment
from autosubmit_portal.audit.origin import get_actor
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Experiment

LISTS = {
    "Jobs": "job-list",
    "Runs": "run-list",
    "Logs": "log-list",
    "Wrappers": "wrapper-list",
    "Configuration in the files": "configuration-filesystem-config",
    "Time left": "time-left-eta",
    "Performance": "performance-performance",
    "User metrics": "user-metrics-user-metrics-runs",
    "Program": "program-list",
    "Notes": "note-list",
    "Permissions": "permission-list",
}
SEARCHES = {"Actions": "action-list", "Audit trail": "audit-entry-list"}


class ExperimentPages(PortalViewSet):
    """Forms for the kinds of actions that the person may request, and links to all of an experiment."""

    _found: Experiment | None = None

    def may_offer(self, name: str, kind: str) -> bool:
        """Answer as the policy does, of this experiment or of a new one."""
        if not kind:
            return True
        actor, catalogued = get_actor(self.request), CATALOGUE[kind]
        if "expid" not in self.kwargs:
            return policy.may_request(actor, catalogued)
        found = self.find_shown_experiment()
        return policy.may_request(actor, catalogued, site=found.site, experiment=found)

    def find_shown_experiment(self) -> Experiment:
        """Return the experiment of the page; read once."""
        if self._found is None:
            site = self.request.query_params.get("site")
            self._found = find_experiment(self.request, self.kwargs["expid"], site)
        return self._found

    def list_experiment_links(self) -> dict[str, str]:
        """Return what belongs to the experiment of the page."""
        expid = {"expid": self.kwargs["expid"]}
        slug = self.find_shown_experiment().site.slug
        query = urlencode(expid | {"site": slug})
        found = {title: self.get_address(route, expid) for title, route in LISTS.items()}
        found |= {title: f"{reverse(route)}?{query}" for title, route in SEARCHES.items()}
        return found | {"Site": self.get_address("site-detail", {"slug": slug})}
