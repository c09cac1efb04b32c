"""From an address to the rows that it means, among those that whoever asks may see."""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from autosubmit_portal.access.models import get_scope
from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.http.conditional import MARKS
from autosubmit_portal.api.http.errors import AmbiguousExpid
from autosubmit_portal.audit.origin import make_origin
from autosubmit_portal.db.compiled_query import CompiledQuery
from experiments.actions.action_request import record_early_refusal
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.catalogue.kinds import ActionKind
from experiments.models import Action, Experiment, Site, annotate_active_action
from experiments.models.experiment import ExperimentQuerySet, choose_meant
from jobs.models import Job

Row = TypeVar("Row")
# What the routes of jobs and runs need of their experiment: to select all columns costs as much as to find the row.
_OF_MIRROR = ("expid", "site_id", "gone_at", "are_edges_known", "edges_note", *MARKS)


def _filter_called(expid: str) -> ExperimentQuerySet:
    return Experiment.objects.filter(expid=expid).order_by("site__slug")


_WHOLE = CompiledQuery(
    lambda expid: annotate_active_action(_filter_called(expid).annotate_run_host()),
    "site",
    annotations=("active_action_id", "is_starting", "run_host_name"),
)
_MIRRORED = CompiledQuery(_filter_called, "site", only=_OF_MIRROR, only_related=("id", "slug", "home", "configuration"))


def find_experiment(
    request: Request, expid: str, site: str | None = None, *, showing: type[Model] = Experiment
) -> Experiment:
    """Return the experiment; at the only site that has it when none is named.

    Where an expid was given again it is the one that is present; one that is gone is found while no other has its name.

    `showing` is the model of which the answer will show rows of the experiment, such as its jobs. Raises Forbidden
    when whoever asks may see no rows of that at all, NotFound, or AmbiguousExpid.
    """
    return _find_only(request, _WHOLE, expid, site, showing)


def find_mirrored(
    request: Request, expid: str, site: str | None = None, *, showing: type[Model] = Experiment
) -> Experiment:
    """Return the experiment as find_experiment does, without what is under way: for what the mirror alone knows."""
    return _find_only(request, _MIRRORED, expid, site, showing)


def _find_only(
    request: Request, called: CompiledQuery[Experiment], expid: str, site: str | None, showing: type[Model]
) -> Experiment:
    if policy.may_view_all(request.user, showing, Experiment):
        return _choose(expid, site, called.read_rows(expid))
    policy.require_view(request.user, showing, Experiment)
    return _choose(expid, site, _filter_seen(request.user, called.read_rows(expid), showing))


def _choose(expid: str, site: str | None, seen: Iterable[Experiment]) -> Experiment:
    """Return which of the experiments called `expid` is meant; raise NotFound or AmbiguousExpid."""
    found = choose_meant([experiment for experiment in seen if site in (None, experiment.site.slug)])
    if len(found) > 1:
        raise AmbiguousExpid(expid, [experiment.site.slug for experiment in found])
    if not found:
        raise NotFound(f"There is no experiment {expid}" + (f" at the site {site}." if site else "."))
    return found[0]


def _filter_seen(actor: policy.Actor, found: list[Experiment], showing: type[Model]) -> list[Experiment]:
    """Return those of the experiments that the actor may see, and rows of `showing` of them."""
    rows = Experiment.objects.filter(pk__in=[experiment.pk for experiment in found]).visible_to(actor)
    pks = rows if showing is Experiment else rows.filter_showing(showing, actor)
    seen = set(pks.values_list("pk", flat=True))
    return [experiment for experiment in found if experiment.pk in seen]


def find_experiment_to_change(request: Request, kind: ActionKind, expid: str, site: str | None) -> Experiment:
    """Return the experiment as find_experiment does; a refusal is recorded."""
    try:
        return find_experiment(request, expid, site)
    except (policy.Forbidden, NotFound, AmbiguousExpid) as refusal:
        origin = make_origin(request)
        record_early_refusal(origin, refusal, subject=expid, kind=kind.name, site=site or "", expid=expid)
        raise


def find_each(
    request: Request, named: Sequence[tuple[str, str | None]]
) -> list[Experiment | policy.Forbidden | NotFound | AmbiguousExpid]:
    """Return the experiment of each expid and site as find_experiment does, or what that raises. In few queries."""
    try:
        policy.require_view(request.user, Experiment)
    except policy.Forbidden as refusal:
        return [refusal] * len(named)
    rows = Experiment.objects.filter(expid__in={expid for expid, _ in named}).select_related("site")
    found, seen = list(rows.order_by("site__slug")), dict[str, list[Experiment]]()
    if not policy.may_view_all(request.user, Experiment):
        found = _filter_seen(request.user, found, Experiment)
    for experiment in found:
        seen.setdefault(experiment.expid, []).append(experiment)
    return [_choose_or_explain(expid, site, seen.get(expid, [])) for expid, site in named]


def _choose_or_explain(
    expid: str, site: str | None, seen: Iterable[Experiment]
) -> Experiment | NotFound | AmbiguousExpid:
    try:
        return _choose(expid, site, seen)
    except (NotFound, AmbiguousExpid) as refusal:
        return refusal


def find_first(rows: "QuerySet[Any, Row]", absence: str) -> Row:
    """Return the only row, or raise NotFound, which says `absence`."""
    found: Row | None = rows.first()
    if found is None:
        raise NotFound(absence)
    return found


def find_job(experiment: Experiment, name: str) -> Job:
    """Return a job by its name, or raise NotFound."""
    return find_first(Job.objects.filter(experiment=experiment, name=name), f"{experiment.expid} has no job {name}.")


def find_action(request: Request, action_id: int) -> Action:
    """Return an action, or raise Forbidden or NotFound."""
    policy.require_view(request.user, Action)
    actions = Action.objects.visible_to(request.user).select_related("site", "experiment")
    return find_first(actions.filter(pk=action_id), f"There is no action {action_id}.")


def find_site_to_change(request: Request, kind: policy.PermittedKind, slug: str | None) -> Site:
    """Return the site called `slug`, or the default one, among those that whoever asks may see or may act on.

    Raises Forbidden, which is recorded, to whom there is no site, and to a credential that is limited to teams for any
    site but theirs; InvalidParameters naming the sites there are.
    """
    is_free = policy.may_request_everywhere(request.user, kind)
    sites = Site.objects.all() if is_free else Site.objects.visible_to(request.user)
    site = sites.get_default() if slug is None else sites.filter(slug=slug).first()
    if site:
        return site
    legal = ", ".join(Site.objects.visible_to(request.user).order_by("slug").values_list("slug", flat=True))
    if not legal:
        _require_somewhere(request, kind, slug or "")
    if get_scope(request.user).teams is not None:
        reason = f"This credential is limited to teams that have nothing at “{slug}”, but at: {legal or 'no site'}."
        _refuse(request, kind, slug or "", policy.Forbidden(reason, ""))
    if slug is None:
        raise Conflict("There is no site yet. Add one in the console.")
    raise InvalidParameters({"site": [f"“{slug}” is not a site. Legal: {legal}."]})


def _require_somewhere(request: Request, kind: policy.PermittedKind, site: str) -> None:
    """Raise Forbidden unless whoever asks may act somewhere; that is recorded."""
    try:
        policy.require_request(request.user, kind)
    except policy.Forbidden as refusal:
        _refuse(request, kind, site, refusal)


def _refuse(request: Request, kind: policy.PermittedKind, site: str, refusal: policy.Forbidden) -> NoReturn:
    record_early_refusal(make_origin(request), refusal, subject=site, kind=kind.name, site=site)
    raise refusal
