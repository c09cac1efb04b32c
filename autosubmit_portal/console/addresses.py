"""The addresses of the console's pages, as people read and share them.

    /experiments/a002/                                   an experiment, and below it its pages, such as grid/
    /experiments/a002/jobs/                              its jobs
    /experiments/a002/jobs/a002_20000101_fc0_1_SIM/      a job, and below it its pages
    /experiments/a002@mn5/                               an experiment of another site than the default one
    /experiments/a002~17/                                an experiment that is gone: its expid may be another's now
    /people/ana/, /teams/ocean/                          a person and a team, and below them their pages
    /actions/12/                                         a row of another list

Where no site is named, that of the default site is meant, or the only one of those that somebody may see. `~17` alone
is the row with that number. Addresses of before redirect to these.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponsePermanentRedirect
from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter, reverse
from django.urls.converters import StringConverter
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from autosubmit_portal.access.models import Team
from autosubmit_portal.access.rights.people import filter_people
from autosubmit_portal.access.rights.teams import filter_teams
from experiments.models import Experiment
from experiments.models.experiment import choose_meant
from jobs.models import Job

EXPERIMENTS = "experiments"
# The folder of each list, by what Django would call it.
FOLDERS = {
    "experiments/experiment": EXPERIMENTS,
    "jobs/job": "jobs",
    "experiments/run": "runs",
    "experiments/action": "actions",
    "experiments/site": "sites",
    "experiments/freeze": "freezes",
    "audit/auditentry": "audit",
    "access/team": "teams",
    "access/delegation": "delegations",
    "access/apitoken": "tokens",
    "access/failedsignin": "failed-sign-ins",
    "access/siterole": "site-roles",
    "access/siteaccount": "site-accounts",
    "access/sitepolicy": "site-policies",
    "auth/user": "people",
    "auth/group": "groups",
}
# Their pages are forms of Django, which come after a page of their own: /sites/3/change/.
EDITED = {"sites", "site-roles", "site-accounts", "site-policies", "groups"}
# Folders of before, by what Django would call their lists. The page of a team was a form of Django: /teams/3/change/.
FORMER = {"users": "auth/user", "teams": "access/team"}
# A name that is a page of the list itself is told with the number of its row.
PAGES_OF_LISTS = {"add", "preview"}
# An expid that was a folder before is told with the number of its row.
TAKEN = {old.removeprefix(f"{EXPERIMENTS}/") for old in FOLDERS if old.startswith(EXPERIMENTS)}
_KEY = re.compile(r"(?P<expid>[^@~]*)(?:@(?P<site>[-\w]+))?(?:~(?P<number>\d{1,18}))?", re.ASCII)
_NUMBER = re.compile(r"~(\d{1,18})", re.ASCII)


class ExperimentKeyConverter(StringConverter):
    """What an address calls an experiment. It is made of a row, or of the number of one."""

    regex = r"[^/\x00]+"

    def to_url(self, value: Any) -> str:
        """Return what an address calls the experiment."""
        return value if isinstance(value, str) else make_experiment_key(value)


class JobKeyConverter(StringConverter):
    """What an address calls a job: its experiment and its name. It is made of a row, or of the number of one."""

    regex = r"[^/\x00]+/jobs/[^/\x00]*"

    def to_url(self, value: Any) -> str:
        """Return what an address calls the job."""
        return value if isinstance(value, str) else make_job_key(value)


class NameConverter(StringConverter):
    """What an address calls a person or a team: by name. It is made of a row, or of the number of one."""

    regex = r"[^/\x00]+"

    def to_url(self, value: Any) -> str:
        """Return what an address calls the row."""
        return value if isinstance(value, str) else make_name_key(value)


register_converter(ExperimentKeyConverter, "experiment_key")
register_converter(JobKeyConverter, "job_key")
register_converter(NameConverter, "row_name")


def make_experiment_key(experiment: Experiment | int) -> str:
    """Return what an address calls an experiment; its site must be loaded with it."""
    if isinstance(experiment, int):
        return f"~{experiment}"
    site = "" if experiment.site.is_default else f"@{experiment.site.slug}"
    is_numbered = experiment.gone_at is not None or experiment.expid in TAKEN
    return f"{_quote(experiment.expid)}{site}{f'~{experiment.pk}' if is_numbered else ''}"


def make_job_key(job: Job | int) -> str:
    """Return what an address calls a job; its experiment and site must be loaded with it."""
    if isinstance(job, int):
        return f"~/jobs/~{job}"
    return f"{make_experiment_key(job.experiment)}/jobs/{_quote(job.name)}"


def make_name_key(row: User | Team | int) -> str:
    """Return what an address calls a person or a team."""
    if isinstance(row, int):
        return f"~{row}"
    name: str = row.username if isinstance(row, User) else row.slug
    return f"~{row.pk}" if name in PAGES_OF_LISTS or name.startswith("~") else _quote(name)


def find_named(rows: "QuerySet[Any]", key: str) -> Any:
    """Return which of the people, or of the teams, an address means; None if none."""
    number = _NUMBER.fullmatch(key)
    name = "username" if rows.model is User else "slug"
    return rows.filter(**({"pk": int(number[1])} if number else {name: unquote(key)})).first()


def _quote(name: str) -> str:
    """Return a name that stays one part of an address: servers decode once what Django encodes once."""
    return quote(name, safe="") if name.strip(".") else "%2E" * len(name)


def find_experiment(rows: "QuerySet[Any]", key: str) -> Experiment | None:
    """Return which of the experiments an address means. Raise Http404 if it could be that of several sites."""
    told = _KEY.fullmatch(key)
    if told is None or not (told["expid"] or told["number"]):
        return None
    if told["expid"]:
        rows = rows.filter(expid=unquote(told["expid"]))
    if told["site"]:
        rows = rows.filter(site__slug=told["site"])
    if told["number"]:
        rows = rows.filter(pk=int(told["number"]))
    return _choose(choose_meant(list(rows.select_related("site"))))


def _choose(meant: list[Experiment]) -> Experiment | None:
    found = [one for one in meant if one.site.is_default] if len(meant) > 1 else meant
    if found or not meant:
        return found[0] if found else None
    keys = ", ".join(sorted(make_experiment_key(one) for one in meant))
    raise Http404(
        gettext("Several sites have an experiment {expid}. Say which one you mean: {keys}.").format(
            expid=meant[0].expid, keys=keys
        )
    )


def find_job(jobs: "QuerySet[Any]", experiments: "QuerySet[Any]", key: str) -> Job | None:
    """Return which of the jobs an address means: one of an experiment of these that has the name."""
    of, _, quoted = key.partition("/jobs/")
    number = _NUMBER.fullmatch(quoted)
    if of == "~":
        found = jobs.filter(pk=int(number[1])) if number else jobs.none()
    else:
        experiment = find_experiment(experiments, of)
        found = jobs.filter(experiment=experiment, name=unquote(quoted)) if experiment else jobs.none()
    job: Job | None = found.select_related("experiment__site").first()
    return job


def place(url: "URLPattern | URLResolver") -> "list[URLPattern | URLResolver]":
    """Return the addresses of a model, which Django puts into a folder of app and model, in the folder they belong to.

    Those of a row that is known by an expid are below that of experiments, whatever the model.
    """
    folder = FOLDERS.get(str(url.pattern).rstrip("/"))
    if folder is None or not isinstance(url, URLResolver):
        return [url]
    keyed = [page for page in url.url_patterns if "_key:" in str(page.pattern)]
    others = [page for page in url.url_patterns if page not in keyed]
    return [path(f"{EXPERIMENTS}/", include(keyed)), path(f"{folder}/", include(others))]


def list_old(console: AdminSite) -> "list[URLPattern]":
    """Return the addresses of before, which redirect for good to those of now."""
    olds = "|".join([*FOLDERS, "users"])
    patterns = (rf"^(?P<old>{olds})/(?P<rest>.*)$", r"^(?P<old>teams)/(?P<rest>\d+/change/)$")
    return [re_path(pattern, console.admin_view(require_safe(redirect_old))) for pattern in patterns]


def redirect_old(request: HttpRequest, old: str, rest: str) -> HttpResponsePermanentRedirect:
    """Redirect an address of before, with its query. What somebody may not see is not found."""
    folder = FOLDERS[FORMER.get(old, old)]
    number, slash, page = rest.partition("/")
    if folder not in EDITED and page == "change/":
        page = ""
    address = _find_address(request, folder, number) if number.isdecimal() else ""
    address = address or f"{reverse('admin:index')}{folder}/{number}{slash}"
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{address}{page}{f'?{query}' if query else ''}")


def _find_address(request: HttpRequest, folder: str, number: str) -> str:
    """Return the address of the row with a number of what has a name in addresses; blank for others."""
    seen: dict[str, Callable[[], Model | None]] = {
        "experiments": lambda: find_experiment(Experiment.objects.visible_to(request.user), f"~{number}"),
        "jobs": lambda: find_job(Job.objects.visible_to(request.user), Experiment.objects.none(), f"~/jobs/~{number}"),
        "people": lambda: find_named(filter_people(request.user), f"~{number}"),
        "teams": lambda: find_named(filter_teams(request.user), f"~{number}"),
    }
    if folder not in seen:
        return ""
    found = seen[folder]()
    if found is None:
        raise Http404
    return reverse(f"admin:{found._meta.app_label}_{found._meta.model_name}_change", args=[found])
