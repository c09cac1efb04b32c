"""From an address to the rows that it means, among those that whoever asks may see."""

from typing import cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request as HttpRequest

from autosubmit_portal.access import policy
from autosubmit_portal.api.errors import AmbiguousExpid
from autosubmit_portal.api.revalidation import MARKS
from autosubmit_portal.audit.origin import origin_of
from autosubmit_portal.prepared import Prepared
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


def _called(expid: str) -> ExperimentQuerySet:
    return Experiment.objects.filter(expid=expid).select_related("site")


def _jobs_called(experiment: int, name: str) -> QuerySet[Job]:
    return Job.objects.filter(experiment=experiment, name=name)


_WHOLE: Prepared[Experiment] = Prepared(
    lambda expid: _called(expid).with_active_action().order_by("site__slug"), str
)
_MIRRORED: Prepared[Experiment] = Prepared(
    lambda expid: _called(expid).only(*_OF_MIRROR).order_by("site__slug"), str
)
_JOB: Prepared[Job] = Prepared(_jobs_called, int, str)
_JOB_KEY: Prepared[Job] = Prepared(
    lambda experiment, name: _jobs_called(experiment, name).only("pk"), int, str
)


def find_experiment(request: HttpRequest, expid: str, site: str | None = None) -> Experiment:
    """Return the experiment; at the only site that has it when none is named.

    Raises Forbidden without the permission to see experiments, NotFound, or AmbiguousExpid.
    """
    return _only(request, _WHOLE, expid, site)


def find_mirrored(request: HttpRequest, expid: str, site: str | None = None) -> Experiment:
    """Return the experiment as find_experiment does, without what is under way: for what the mirror alone knows."""
    return _only(request, _MIRRORED, expid, site)


def _only(
    request: HttpRequest, experiments: Prepared[Experiment], expid: str, site: str | None
) -> Experiment:
    policy.require_view(request.user, Experiment)
    found = [found for found in experiments.rows(expid) if site in (None, found.site.slug)]
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
    return _job(_JOB, experiment, name)


def find_job_key(experiment: Experiment, name: str) -> int:
    """Return the primary key of a job, or raise NotFound."""
    return _job(_JOB_KEY, experiment, name).pk


def _job(jobs: Prepared[Job], experiment: Experiment, name: str) -> Job:
    for job in jobs.rows(experiment.pk, name):
        return job
    raise NotFound(f"{experiment.expid} has no job {name}.")


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


def find_site(request: HttpRequest, slug: str | None) -> Site:
    """Return the site called `slug`, or the default one; raise InvalidParameters naming the sites there are."""
    if slug is None:
        default = Site.objects.default()
        if default is None:
            raise Conflict("There is no site yet. Add one in the console.")
        return default
    site = Site.objects.filter(slug=slug).first()
    if site is None:
        seen = Site.objects.order_by("slug") if policy.may_view(request.user, Site) else Site.objects.none()
        raise InvalidParameters({"site": [f"“{slug}” is not a site. Legal: {', '.join(map(str, seen))}."]})
    return site
