"""Routes of experiments."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.action_requests import Wish, fulfil
from autosubmit_portal.api.http.conditional import RevalidatedView
from autosubmit_portal.api.mirrored import MirroredView
from autosubmit_portal.api.objects import find_experiment, find_experiment_to_change, find_site_to_change
from autosubmit_portal.api.openapi import examples
from autosubmit_portal.api.openapi.documentation import (
    ETAG,
    EXPID,
    IF_NONE_MATCH,
    action_parameter,
    answer,
    change,
    kinds_of,
    operation,
)
from autosubmit_portal.api.query.filters.experiments import annotations_of, condition_of, order_of
from autosubmit_portal.api.query.pagination import page_info, read_page
from autosubmit_portal.api.query.queries import (
    ActQuery,
    ChangeQuery,
    CreateQuery,
    ExperimentQuery,
    ExperimentsQuery,
    RunsQuery,
)
from autosubmit_portal.api.query.selection import selection
from autosubmit_portal.api.serializers.experiments import (
    ExperimentDetail,
    ExperimentItem,
    ExperimentList,
    RunItem,
    RunList,
)
from autosubmit_portal.db.compiled_query import Prepared
from experiments.actions.request import kind_named
from experiments.catalogue.kinds import CREATE, UPDATE_DESCRIPTION, Target
from experiments.models import Experiment, Run

_RUNS: Prepared[Any] = Prepared(
    lambda experiment: selection(RunItem, None).rows(
        Run.objects.filter(experiment=experiment).order_by("run_id"), []
    ),
    int,
)


class ExperimentsView(RevalidatedView):
    """All experiments."""

    @operation(
        "list_experiments",
        "List experiments",
        parameters=[ExperimentsQuery, IF_NONE_MATCH, ETAG],
        answers={200: answer(ExperimentList, "A page of experiments.", examples.EXPERIMENTS)},
        errors=[400],
    )
    def get(self, request: Request) -> Response:
        """List the experiments that you may see, filtered and in pages.

        Status and counts come from the mirror; `refreshed_at` says how old they are.
        """
        query = ExperimentsQuery.of(request)
        policy.require_view(request.user, Experiment)
        found = Experiment.objects.visible_to(request.user).filter(condition_of(query))
        order, chosen = order_of(query), selection(ExperimentItem, query.get("fields"))
        rows = found.with_active_action_id().annotate(**annotations_of(query))
        page = read_page(
            request,
            chosen.rows(rows, order.columns),
            order,
            query,
            position=lambda row: [getattr(row, column) for column in order.columns],
        )
        items = chosen.written_all(page.rows)
        return Response({"experiments": items, "pagination": page_info(query, page, found.count())})

    @change("create_experiment", "Create an experiment", kinds=[CREATE], query=CreateQuery)
    def post(self, request: Request) -> Response:
        """Create an experiment (`autosubmit expid`). Its expid stands in the finished action.

        Experiments are created one at a time at each site; the action waits for its turn.
        """
        query = CreateQuery.of(request)
        site = find_site_to_change(request, CREATE, query.get("site"))
        return fulfil(request, Wish(kind=CREATE, site=site, dry_run=query.get("dry_run")))


class ExperimentView(RevalidatedView):
    """One experiment."""

    @operation(
        "get_experiment",
        "Show an experiment",
        parameters=[EXPID, ExperimentQuery, IF_NONE_MATCH, ETAG],
        answers={200: answer(ExperimentDetail, "The experiment.", examples.EXPERIMENT)},
        errors=[400, 404, 409],
    )
    def get(self, request: Request, expid: str) -> Response:
        """Show one experiment: what Autosubmit knows of it, whether it runs, and its number of jobs per status."""
        query = ExperimentQuery.of(request)
        experiment = find_experiment(request, expid, query.get("site"))
        return Response(selection(ExperimentDetail, query.get("fields")).written(experiment))

    @change(
        "act_on_experiment",
        "Act on an experiment",
        kinds=kinds_of(Target.EXPERIMENT),
        query=ActQuery,
        parameters=[EXPID, action_parameter()],
    )
    def post(self, request: Request, expid: str) -> Response:
        """Request an action on an experiment.

        The parameters of the action stand in the body, which may be empty. Every request, also one that is refused,
        leaves an entry in the audit trail.
        """
        query = ActQuery.of(request)
        kind = kind_named(query["action"], among=Target.EXPERIMENT)
        experiment = find_experiment_to_change(request, kind, expid, query.get("site"))
        wish = Wish(
            kind=kind,
            site=experiment.site,
            experiment=experiment,
            dry_run=query.get("dry_run"),
            all_changes=query["all_changes"],
        )
        return fulfil(request, wish)

    @change(
        "update_experiment",
        "Change the description",
        kinds=[UPDATE_DESCRIPTION],
        query=ChangeQuery,
        parameters=[EXPID],
    )
    def patch(self, request: Request, expid: str) -> Response:
        """Change what is written about an experiment. The text arrives in Autosubmit exactly as sent."""
        query = ChangeQuery.of(request)
        experiment = find_experiment_to_change(request, UPDATE_DESCRIPTION, expid, query.get("site"))
        wish = Wish(
            kind=UPDATE_DESCRIPTION,
            site=experiment.site,
            experiment=experiment,
            dry_run=query.get("dry_run"),
        )
        return fulfil(request, wish)


class RunsView(MirroredView, RevalidatedView):
    """The runs of an experiment."""

    @operation(
        "list_runs",
        "List the runs of an experiment",
        parameters=[EXPID, RunsQuery, IF_NONE_MATCH, ETAG],
        answers={200: answer(RunList, "Its runs, oldest first.", examples.RUNS)},
        errors=[400, 404, 409],
    )
    def get(self, request: Request, expid: str) -> Response:
        """List the runs in Autosubmit's history of the experiment, oldest first."""
        query = RunsQuery.of(request)
        experiment = self.find_mirrored(request, expid, query.get("site"))
        self.revalidate(request, experiment)
        chosen = selection(RunItem, query.get("fields"))
        return Response({"runs": chosen.written_all(_RUNS.rows(experiment.pk))})
