"""What the search from everywhere finds: experiments, jobs, people and pages, only those that somebody may see.

Each kind is asked for a few rows by an index: expids and names of accounts by how they begin, names of jobs by any part
of them (`jobs.trigrams`). Descriptions are read only where expids have left room.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console import navigation
from autosubmit_portal.db.planning import plan_for_values
from autosubmit_portal.db.prefixes import make_prefix_condition
from autosubmit_portal.distinct import list_distinct
from experiments.models import Experiment, Site
from jobs.models import Job
from jobs.trigrams import GROUP, narrow

MOST = 6
MOST_NUMBERED = 500
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found: its name, what is said of it, and its address."""

    name: str
    about: str
    address: str


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found of one kind. `more` is the address of the list that has all; blank where there is none."""

    title: str
    hits: list[Hit]
    more: str = ""


def find(user: Any, text: str) -> list[Hits]:
    """Return what of each kind a text finds for somebody, without the kinds of which it finds nothing."""
    text = clean(text)
    if not text:
        return []
    found = (find_experiments(user, text), find_jobs(user, text), find_people(user, text), find_pages(user, text))
    return [hits for hits in found if hits.hits]


def clean(text: str) -> str:
    """Return what of a text is looked for; no database has a NUL in a text."""
    return text.replace("\0", "").strip()[:LONGEST]


def find_named(user: Any, text: str) -> Experiment | None:
    """Return the one experiment that a text is the expid of; None if there is none, or one at each of several sites."""
    visible = Experiment.objects.visible_to(user).select_related("site")
    found = list(visible.filter(expid=clean(text).lower(), gone_at=None)[:2])
    return found[0] if len(found) == 1 else None


def find_experiments(user: Any, text: str) -> Hits:
    """Return experiments whose expid begins with the text, then those whose description has all its words."""
    visible = Experiment.objects.visible_to(user).filter(gone_at=None).select_related("site")
    found = _search(visible, text)
    hits = [
        Hit(one.expid, one.description, reverse("admin:experiments_experiment_change", args=[one]))
        for one in found[:MOST]
    ]
    return Hits(gettext("Experiments"), hits, _link_to_more("experiments_experiment", text, found))


def find_of_site(user: Any, site: Site, text: str) -> list[Experiment]:
    """Return the experiments of a site that a text finds for somebody, in the same order."""
    text = clean(text)
    return _search(Experiment.objects.visible_to(user).filter(site=site, gone_at=None), text)[:MOST] if text else []


def _search(visible: "QuerySet[Any]", text: str) -> list[Any]:
    named = visible.filter(make_prefix_condition("expid", text.lower()))
    found = list(named.order_by("expid", "site")[: MOST + 1])
    if len(found) <= MOST:
        described = visible.filter(_has_all("description", text)).exclude(pk__in=[one.pk for one in found])
        found += described.order_by("expid", "site")[: MOST + 1 - len(found)]
    return found


def find_jobs(user: Any, text: str) -> Hits:
    """Return jobs whose names have all words of the text. A word of one or two letters alone would find most jobs."""
    if max(map(len, text.split())) < GROUP:
        return Hits(gettext("Jobs"), [])
    named = narrow(_list_visible_jobs(user).filter(_has_all("name", text)), text)
    # Which they are is asked for alone: beside other tables SQLite would read all jobs to sort them.
    with plan_for_values():
        keys = list(named.order_by("-pk").values_list("pk", flat=True)[: MOST + 1])
    found = list(Job.objects.filter(pk__in=keys).select_related("experiment__site").order_by("-pk"))
    hits = [Hit(one.name, one.status, reverse("admin:jobs_job_change", args=[one])) for one in found[:MOST]]
    return Hits(gettext("Jobs"), hits, _link_to_more("jobs_job", text, found))


def _list_visible_jobs(user: Any) -> "QuerySet[Job]":
    """Return the jobs that the user may see: of few experiments by their numbers, so that no others are read."""
    if policy.may_view_all(user, Job):
        return Job.objects.all()
    experiments = Experiment.objects.filter_showing(Job, user).values_list("pk", flat=True)
    numbers = list(experiments[: MOST_NUMBERED + 1])
    return Job.objects.visible_to(user) if len(numbers) > MOST_NUMBERED else Job.objects.filter(experiment__in=numbers)


def find_people(user: Any, text: str) -> Hits:
    """Return owners of experiments, and accounts for those who may see them, whose names begin with the text."""
    experiments = reverse("admin:experiments_experiment_changelist")
    owners = [name for name in _list_owners(user) if name.lower().startswith(text.lower())]
    hits = [
        Hit(name, gettext("Experiments of this owner"), f"{experiments}?{urlencode({'owner': name})}")
        for name in owners
    ]
    if policy.list_browsable(user, [User]):
        rows = User.objects.filter(make_prefix_condition("username", text)).order_by("username")
        hits += [
            Hit(one.username, one.get_full_name() or gettext("Account"), reverse("admin:auth_user_change", args=[one]))
            for one in rows[:MOST]
        ]
    return Hits(gettext("People"), hits[:MOST])


def find_accounts(text: str) -> list[User]:
    """Return open accounts whose names begin with the text, or have it in the name of the person."""
    text = clean(text)
    named = make_prefix_condition("username", text) | Q(first_name__icontains=text) | Q(last_name__icontains=text)
    return list(User.objects.filter(named, is_active=True).order_by("username")[:MOST]) if text else []


def find_pages(user: Any, text: str) -> Hits:
    """Return pages whose names have a word that begins with the text."""
    wanted = text.lower()
    named = [
        page for page in navigation.ALL if any(name.startswith(wanted) for name in _list_ends(str(page.name).lower()))
    ]
    seen = navigation.filter_seen(user, named) if named else []
    return Hits(gettext("Pages"), [Hit(str(page.name), str(page.about), page.address) for page in seen[:MOST]])


def _list_ends(name: str) -> Iterator[str]:
    """Yield a name from each of its words on."""
    words = name.split()
    yield from (" ".join(words[start:]) for start in range(len(words)))


def _has_all(field: str, text: str) -> Q:
    condition = Q()
    for word in text.split():
        condition &= Q(**{f"{field}__icontains": word})
    return condition


def _list_owners(user: Any) -> list[str]:
    if policy.may_view_all(user, Experiment):
        return list_distinct(Experiment, "owner")
    rows: QuerySet[Any] = Experiment.objects.visible_to(user).order_by("owner")
    return list(rows.values_list("owner", flat=True).distinct())


def _link_to_more(part: str, text: str, found: list[Any]) -> str:
    return f"{reverse(f'admin:{part}_changelist')}?{urlencode({'q': text})}" if len(found) > MOST else ""
