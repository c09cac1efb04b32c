"""What the checks of requests ask the database, read once for all of them: one request, or a batch of many.

Each thing is read when the first of them needs it, so that nothing is read for requests that are refused before.
"""

from collections.abc import Container, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from autosubmit_portal.access.rights import policy
from experiments.actions.accounts import KnownAccounts, unix_name_for
from experiments.actions.choice import jobs_of_each
from experiments.actions.freeze import frozen_reasons
from experiments.actions.idempotency import FirstActions
from experiments.models import Action, Experiment, with_active_action
from jobs.models import Job
from jobs.workflow import Workflow

if TYPE_CHECKING:
    from experiments.actions.request import Request


class Facts:
    """What is known of some requests. All are of one person; those that have a key have the same one."""

    def __init__(self, requests: Sequence["Request"]) -> None:
        self._requests = requests
        self._experiments = {
            request.experiment.pk: request.experiment for request in requests if request.experiment
        }
        if len(requests) > 1:  # one experiment is looked up if it must be
            policy.look_ahead(requests[0].actor, self._experiments)

    def experiment(self, request: "Request") -> Any:
        """Return the experiment of a request, which has one, as it is now and with its active action."""
        return self._now[request.experiment.pk] if request.experiment else None

    def frozen_reason(self, request: "Request") -> str:
        """Return why nothing may submit jobs of the experiment; blank if it may."""
        return self._frozen.get(request.experiment.pk, "") if request.experiment else ""

    def unix_name(self, request: "Request") -> str:
        """Return the account that the action runs as; raise Conflict if there is none."""
        return unix_name_for(request.actor, request.kind, request.site, request.experiment, self._accounts)

    def first_action(self, request: "Request") -> Action | None:
        """Return the action that the same request has made before, None if there is none; raise KeyReused."""
        return self._first.of(request.key, request.experiment) if request.key and self._first else None

    def job_names(self, experiment: Experiment) -> Container[str]:
        """Return the names of the jobs of an experiment."""
        return self._job_names[experiment.pk]

    def jobs_of(self, experiment: Experiment) -> Workflow:
        """Return the jobs of an experiment without their edges."""
        return self._workflows[experiment.pk]

    @cached_property
    def _now(self) -> dict[int, Any]:
        return with_active_action().in_bulk(list(self._experiments))

    @cached_property
    def _frozen(self) -> dict[int, str]:
        return frozen_reasons(self._experiments.values())

    @cached_property
    def _accounts(self) -> KnownAccounts:
        return KnownAccounts(self._requests[0].actor, self._experiments.values())

    @cached_property
    def _first(self) -> FirstActions | None:
        keys = [request.key for request in self._requests if request.key]
        if not keys:
            return None
        return FirstActions(self._requests[0].actor, keys[0], [key.item for key in keys])

    @cached_property
    def _job_names(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {experiment: set() for experiment in self._experiments}
        for experiment, name in Job.objects.filter(experiment__in=found).values_list("experiment_id", "name"):
            found[experiment].add(name)
        return found

    @cached_property
    def _workflows(self) -> dict[int, Workflow]:
        return jobs_of_each(self._experiments)
