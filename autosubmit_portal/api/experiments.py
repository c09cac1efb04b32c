"""Routes of experiments."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access import policy
from autosubmit_portal.api import examples
from autosubmit_portal.api.documentation import EXPID, action_parameter, answer, change, kinds_of, operation
from autosubmit_portal.api.fields import wildcard
from autosubmit_portal.api.formats import PortalView
from autosubmit_portal.api.lookup import find_experiment, find_experiment_to_change, find_site
from autosubmit_portal.api.pagination import page_info, page_slice
from autosubmit_portal.api.queries import ActQuery, ChangeQuery, CreateQuery, ExperimentsQuery, SiteQuery
from autosubmit_portal.api.requests import Wish, fulfil
from autosubmit_portal.api.shapes.experiments import (
    ExperimentDetail,
    ExperimentItem,
    ExperimentList,
    RunItem,
    RunList,
)
from experiments.actions.request import kind_named
from experiments.catalogue import CREATE, UPDATE_DESCRIPTION, Target
from experiments.models import Experiment

ORDERS = {"expid": "expid", "created": "created_at", "description": "description"}


class ExperimentsView(PortalView):
    """All experiments."""

    @operation(
        "list_experiments",
        "List experiments",
        parameters=[ExperimentsQuery],
        answers={200: answer(ExperimentList, "A page of experiments.", examples.EXPERIMENTS)},
        errors=[400],
    )
    def get(self, request: Request) -> Response:
        """List the experiments that you may see, filtered and in pages.

        Status and counts come from the mirror; `refreshed_at` says how old they are.
        """
        query = ExperimentsQuery.of(request)
        policy.require_view(request.user, Experiment)
        found = _matching(Experiment.objects.visible_to(request.user), query)
        rows = found.select_related("site").with_active_action()[
            page_slice(query["page"], query["page_size"])
        ]
        items = ExperimentItem(rows, many=True).data
        info = page_info(query["page"], query["page_size"], len(items), found.count())
        return Response({"experiments": items, "pagination": info})

    @change("create_experiment", "Create an experiment", kinds=[CREATE], query=CreateQuery)
    def post(self, request: Request) -> Response:
        """Create an experiment (`autosubmit expid`). Its expid stands in the finished action.

        Experiments are created one at a time at each site; the action waits for its turn.
        """
        query = CreateQuery.of(request)
        site = find_site(request, query.get("site"))
        return fulfil(request, Wish(kind=CREATE, site=site, dry_run=query.get("dry_run")))


class ExperimentView(PortalView):
    """One experiment."""

    @operation(
        "get_experiment",
        "Show an experiment",
        parameters=[EXPID, SiteQuery],
        answers={200: answer(ExperimentDetail, "The experiment.", examples.EXPERIMENT)},
        errors=[400, 404, 409],
    )
    def get(self, request: Request, expid: str) -> Response:
        """Show one experiment: what Autosubmit knows of it, whether it runs, and its number of jobs per status."""
        experiment = find_experiment(request, expid, SiteQuery.of(request).get("site"))
        return Response(ExperimentDetail(experiment).data)

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
        wish = Wish(kind=kind, site=experiment.site, experiment=experiment, dry_run=query.get("dry_run"))
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


class RunsView(PortalView):
    """The runs of an experiment."""

    @operation(
        "list_runs",
        "List the runs of an experiment",
        parameters=[EXPID, SiteQuery],
        answers={200: answer(RunList, "Its runs, oldest first.", examples.RUNS)},
        errors=[400, 404, 409],
    )
    def get(self, request: Request, expid: str) -> Response:
        """List the runs in Autosubmit's history of the experiment, oldest first."""
        experiment = find_experiment(request, expid, SiteQuery.of(request).get("site"))
        return Response({"runs": RunItem(experiment.runs.order_by("run_id"), many=True).data})


def _matching(experiments: QuerySet[Experiment], query: Mapping[str, Any]) -> Any:
    """Return the experiments that a query asks for, in its order; the expid decides between equals."""
    direction = "-" if query["order_desc"] else ""
    order = ORDERS[query.get("order_by", "expid")]
    conditions = Q(gone_at__isnull=not query["gone"])
    for field in ("owner", "hpc", "autosubmit_version"):
        if field in query:
            conditions &= wildcard("version" if field == "autosubmit_version" else field, query[field])
    for condition in (_text(query), _type(query), _flags(query)):
        conditions &= condition
    if "site" in query:
        conditions &= Q(site__slug=query["site"])
    return experiments.filter(conditions).order_by(f"{direction}{order}", "expid", "site_id")


def _text(query: Mapping[str, Any]) -> Q:
    text = query.get("query")
    if not text:
        return Q()
    return Q(expid__icontains=text) | Q(description__icontains=text) | Q(owner__icontains=text)


def _type(query: Mapping[str, Any]) -> Q:
    first = {"test": Q(expid__startswith="t"), "operational": Q(expid__startswith="o")}
    match query.get("exp_type"):
        case None:
            return Q()
        case "experiment":
            return ~first["test"] & ~first["operational"]
        case name:
            return first[name]


def _flags(query: Mapping[str, Any]) -> Q:
    conditions = Q(is_running=True) if query["only_active"] else Q()
    if "has_problem" in query:
        conditions &= ~Q(problem="") if query["has_problem"] else Q(problem="")
    if "disagrees" in query:
        conditions &= ~Q(disagreement="") if query["disagrees"] else Q(disagreement="")
    if "failed" in query:
        has_failed = Q(status_counts__has_key="FAILED")  # zeros are left out
        conditions &= has_failed if query["failed"] else ~has_failed
    return conditions
