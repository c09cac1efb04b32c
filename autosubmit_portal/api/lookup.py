"""From an address to the rows that it means, among those that whoever asks may see."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request as HttpRequest

from autosubmit_portal.access import policy
from autosubmit_portal.api.errors import AmbiguousExpid
from autosubmit_portal.api.revalidation import MARKS
from autosubmit_portal.audit.origin import origin_of
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.actions.request import record_early_refusal
from experiments.catalogue import ActionKind
from experiments.models import Action, Experiment, Site
from experiments.models.experiment import ExperimentQuerySet
from jobs.models import Job

# What the routes of jobs and runs need of their experiment: to select all columns costs as much as to find the row.
_OF_MIRROR = ("expid", "site__slug", "site__home", "site__configuration", *MARKS)


def actor_of(request: HttpRequest) -> User:
    """Return who asks: the permission classes of the views let nobody through who is not signed in."""
    return cast(User, request.user)


def find_experiment(
    request: HttpRequest, expid: str, site: str | None = None, *, showing: type[Model] = Experiment
) -> Experiment:
    """Return the experiment; at the only site that has it when none is named.

    `showing` is the model of which the answer will show rows of the experiment, such as its jobs. Raises Forbidden
    when whoever asks may see no rows of that at all, NotFound, or AmbiguousExpid.
    """
    return _only(_rows(request, showing).with_active_action(), expid, site)


def find_mirrored(
    request: HttpRequest, expid: str, site: str | None = None, *, showing: type[Model] = Experiment
) -> Experiment:
    """Return the experiment as find_experiment does, without what is under way: for what the mirror alone knows."""
    return _only(_rows(request, showing).only(*_OF_MIRROR), expid, site)


def _rows(request: HttpRequest, showing: type[Model]) -> ExperimentQuerySet:
    policy.require_view(request.user, showing)
    policy.require_view(request.user, Experiment)
    rows = Experiment.objects.visible_to(request.user).select_related("site")
    return rows if showing is Experiment else rows.showing(showing, request.user)


def _only(rows: QuerySet[Experiment], expid: str, site: str | None) -> Experiment:
    found = list(rows.filter(expid=expid, **_at(site)).order_by("site__slug"))
    if len(found) > 1:
        raise AmbiguousExpid(expid, [experiment.site.slug for experiment in found])
    if not found:
        raise NotFound(f"There is no experiment {expid}" + (f" at the site {site}." if site else "."))
    return found[0]


def find_experiment_to_change(
    request: HttpRequest, kind: ActionKind, expid: str, site: str | None
) -> Experiment:
    """Return the experiment as find_experiment does; a refusal is recorded."""
    try:
        return find_experiment(request, expid, site)
    except (policy.Forbidden, NotFound, AmbiguousExpid) as refusal:
        origin = origin_of(request)
        record_early_refusal(origin, refusal, subject=expid, kind=kind.name, site=site or "", expid=expid)
        raise


def find_job(experiment: Experiment, name: str) -> Job:
    """Return a job by its name, or raise NotFound."""
    return _job(Job.objects, experiment, name)


def find_job_key(experiment: Experiment, name: str) -> int:
    """Return the primary key of a job, or raise NotFound."""
    return _job(Job.objects.only("pk"), experiment, name).pk


def _job(jobs: Any, experiment: Experiment, name: str) -> Job:
    try:
        job: Job = jobs.get(experiment=experiment, name=name)
    except Job.DoesNotExist:
        raise NotFound(f"{experiment.expid} has no job {name}.") from None
    return job


def find_action(request: HttpRequest, action_id: int) -> Action:
    """Return an action, or raise Forbidden or NotFound."""
    policy.require_view(request.user, Action)
    action = (
        Action.objects.visible_to(request.user)
        .select_related("site", "experiment")
        .filter(pk=action_id)
        .first()
    )
    if action is None:
        raise NotFound(f"There is no action {action_id}.")
    return action


def find_site_to_change(request: HttpRequest, kind: policy.PermittedKind, slug: str | None) -> Site:
    """Return the site called `slug`, or the default one, among those that whoever asks may see or may act on.

    Raises Forbidden, which is recorded, to whom there is no site; InvalidParameters naming the sites there are.
    """
    is_free = policy.may_request_everywhere(request.user, kind)
    sites = Site.objects.all() if is_free else Site.objects.visible_to(request.user)
    site = sites.default() if slug is None else sites.filter(slug=slug).first()
    if site:
        return site
    legal = ", ".join(Site.objects.visible_to(request.user).order_by("slug").values_list("slug", flat=True))
    if not legal:
        _require_somewhere(request, kind, slug or "")
    if slug is None:
        raise Conflict("There is no site yet. Add one in the console.")
    raise InvalidParameters({"site": [f"“{slug}” is not a site. Legal: {legal}."]})


def _require_somewhere(request: HttpRequest, kind: policy.PermittedKind, site: str) -> None:
    """Raise Forbidden unless whoever asks may act somewhere; that is recorded."""
    try:
        policy.require_request(request.user, kind)
    except policy.Forbidden as refusal:
        record_early_refusal(origin_of(request), refusal, subject=site, kind=kind.name, site=site)
        raise


def _at(site: str | None) -> dict[str, Any]:
    return {"site__slug": site} if site else {}
