"""Which jobs of an experiment its pictures show: those of a section, a start date and a member."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext

from autosubmit_portal.distinct import list_distinct
from experiments.models import Experiment
from jobs.autosubmit.start_dates import format_alike, parse_period
from jobs.models import Job
from jobs.pictures.picture import sort_naturally

SECTION, DATE, MEMBER = NAMES = ("section", "date", "member")


@dataclass(frozen=True, slots=True)
class Menu:
    """What can be chosen of one kind: for each value its text, the query of its address, and whether it is chosen."""

    title: str
    chosen: str
    values: list[tuple[str, str, bool]]


def apply(request: HttpRequest, jobs: "QuerySet[Job]") -> "QuerySet[Job]":
    """Return those of the jobs that the address chooses; a date that is none chooses nothing."""
    for name in (SECTION, MEMBER):
        if value := request.GET.get(name):
            jobs = jobs.filter(**{name: value})
    if date := request.GET.get(DATE):
        try:
            jobs = jobs.filter(date__range=parse_period(date))
        except ValueError:
            return jobs.none()
    return jobs


def list_menus(request: HttpRequest, experiment: Experiment) -> list[Menu]:
    """Return the menus of what there is to choose in an experiment; none where there is one value at most."""
    dates = (
        Job.objects.filter(experiment=experiment, date__isnull=False).order_by("date").values_list("date", flat=True)
    )
    offered: dict[str, list[str]] = {
        SECTION: [*filter(None, list_distinct(Job, SECTION, experiment=experiment.pk))],
        DATE: format_alike(date for date in dates.distinct() if date),
        MEMBER: sort_naturally(filter(None, list_distinct(Job, MEMBER, experiment=experiment.pk))),
    }
    return [
        make_menu(request, name, values) for name, values in offered.items() if len(values) > 1 or name in request.GET
    ]


def make_menu(request: HttpRequest, name: str, values: Iterable[str]) -> Menu:
    """Return the menu of a parameter of the address."""
    chosen = request.GET.get(name, "")
    others: Any = request.GET.copy()
    for left_out in (name, "p"):
        others.pop(left_out, None)
    choices = [(gettext("All"), others.urlencode(), not chosen)]
    for value in values:
        query = others.copy()
        query[name] = value
        choices.append((value, query.urlencode(), value == chosen))
    return Menu(gettext(name.capitalize()), chosen, choices)
