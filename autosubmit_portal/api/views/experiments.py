"""Routes of experiments."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.action_requests import submit
from autosubmit_portal.api.experiment_pages import ExperimentPages
from autosubmit_portal.api.http.conditional import RevalidatedViewSet
from autosubmit_portal.api.objects import find_experiment, find_experiment_to_change, find_site_to_change
from autosubmit_portal.api.openapi.documentation import (
    CONDITIONAL,
    answer,
    change,
    list_actions,
    make_action_parameter,
    operation,
)
from autosubmit_portal.api.query.filters.experiments import choose_order, list_annotations, make_condition
from autosubmit_portal.api.query.pagination import make_page_info, read_page
from autosubmit_portal.api.query.queries import ActQuery, ChangeQuery, CreateQuery, ExperimentQuery, ExperimentsQuery
from autosubmit_portal.api.query.selection import make_selection
from autosubmit_portal.api.serializers.experiments import ExperimentDetail, ExperimentItem, ExperimentList
from experiments.actions.refusals import InvalidParameters
from experiments.catalogue.kinds import CREATE, UPDATE_DESCRIPTION, ActionKind
from experiments.models import Experiment, annotate_active_action_id

ACTIONS = {kind.name: kind for kind in list_actions()}


class ExperimentViewSet(ExperimentPages, RevalidatedViewSet):
    """Experiments, and what is done to them."""

    tag = "Experiments"
    lookup_url_kwarg = "expid"
    lookup_value_converter = "name"
    items = ("experiments", "name")

    def list_links(self, data: Any) -> dict[str, str]:
        """Return the experiments of a list, or what belongs to one of them."""
        return self.list_experiment_links() if self.detail else super().list_links(data)

    @operation(
        "list_experiments",
        "List experiments",
        {200: answer(ExperimentList, "A page of experiments.")},
        parameters=[ExperimentsQuery, *CONDITIONAL],
    )
    def list(self, request: Request) -> Response:
        """List the experiments that you may see, filtered and in pages.

        Status and counts come from the mirror; `refreshed_at` says how old they are.
        """
        query = ExperimentsQuery.read(request)
        policy.require_view(request.user, Experiment)
        found = Experiment.objects.visible_to(request.user).filter(make_condition(query))
        order, chosen = choose_order(query), make_selection(ExperimentItem, query.get("fields"))
        rows = annotate_active_action_id(found.annotate_run_host()).annotate(**list_annotations(query))
        page = read_page(
            request,
            chosen.read_rows(rows, order.columns),
            order,
            query,
            position=lambda row: [getattr(row, column) for column in order.columns],
        )
        items = chosen.write_all(page.rows)
        return Response({"experiments": items, "pagination": make_page_info(query, page, found.count())})

    @change("create_experiment", "Create an experiment", kinds=[CREATE], query=CreateQuery)
    def create(self, request: Request) -> Response:
        """Create an experiment (`autosubmit expid`). Its expid stands in the finished action.

        Experiments are created one at a time at each site; the action waits for its turn.
        """
        query = CreateQuery.read(request)
        site = find_site_to_change(request, CREATE, query.get("site"))
        return submit(request, CREATE, site, query=query)

    @operation(
        "get_experiment",
        "Show an experiment",
        {200: answer(ExperimentDetail, "The experiment.")},
        parameters=[ExperimentQuery, *CONDITIONAL],
    )
    def retrieve(self, request: Request, expid: str) -> Response:
        """Show one experiment: what Autosubmit knows of it, whether it runs, and its number of jobs per status."""
        query = ExperimentQuery.read(request)
        experiment = find_experiment(request, expid, query.get("site"))
        return Response(make_selection(ExperimentDetail, query.get("fields")).write(experiment))

    @change(
        "act_on_experiment",
        "Act on an experiment",
        kinds=[*ACTIONS.values()],
        query=ActQuery,
        parameters=[make_action_parameter()],
    )
    def act(self, request: Request, expid: str) -> Response:
        """Request an action on an experiment.

        The parameters of the action stand in the body, which may be empty. Every request, also one that is refused,
        leaves an entry in the audit trail.
        """
        query = ActQuery.read(request)
        kind = _find_kind(query["action"])
        experiment = find_experiment_to_change(request, kind, expid, query.get("site"))
        return submit(request, kind, experiment.site, experiment, query=query)

    @change("update_experiment", "Change the description", kinds=[UPDATE_DESCRIPTION], query=ChangeQuery)
    def partial_update(self, request: Request, expid: str) -> Response:
        """Change what is written about an experiment. The text arrives in Autosubmit exactly as sent."""
        query = ChangeQuery.read(request)
        experiment = find_experiment_to_change(request, UPDATE_DESCRIPTION, expid, query.get("site"))
        return submit(request, UPDATE_DESCRIPTION, experiment.site, experiment, query=query)


def _find_kind(name: str) -> ActionKind:
    """Return the kind called `name` that `?action=` takes; raise InvalidParameters naming the legal ones."""
    if name not in ACTIONS:
        raise InvalidParameters({"action": [f"“{name}” is not an action. Legal: {', '.join(ACTIONS)}."]})
    return ACTIONS[name]
