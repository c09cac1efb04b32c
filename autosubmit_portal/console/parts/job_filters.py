"""The filters of the lists of jobs: several values of each, ranges, and since when they have finished.

What a filter cannot read chooses nothing, and `error` says what is wrong with it and how to write it.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autosubmit_portal.access.visits import find_last_visit
from autosubmit_portal.console.parts.chosen import get_chosen_experiment
from autosubmit_portal.console.parts.presentation import STATUSES, translate
from autosubmit_portal.console.parts.times import read_instant, write_typed
from autosubmit_portal.distinct import list_distinct
from jobs.models import Job
from jobs.ranges import match_any, match_ranges, parse_periods, parse_ranges

LONGEST = 2000
"""Characters of what a filter is asked for."""

PAGE = "p"
VISIT = "visit"
_PERIOD = re.compile(r"(\d{1,4})([hd])", re.ASCII)


class TypedFilter(SimpleListFilter):
    """Rows by what somebody types: `?chunk=3-7,12`. `example` is shown in the field, `hint` below it."""

    template = "admin/portal/job_filter.html"
    is_typed = True
    example = ""
    hint: Any = ""
    kept: "list[tuple[str, str]]"
    cleared = ""

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        given = params.get(str(self.parameter_name), [])
        self.text = ",".join(text.strip() for text in given if text.strip())
        self.error = ""
        super().__init__(request, params, model, model_admin)

    def has_output(self) -> bool:
        """One can always type something."""
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Nothing to choose."""
        return []

    def choices(self, changelist: Any) -> Any:
        """Say what its form keeps of the address, and the address without it."""
        left_out = (str(self.parameter_name), PAGE)
        pairs = [(name, value) for name, values in changelist.filter_params.items() for value in values]
        self.kept = [(name, value) for name, value in pairs if name not in left_out]
        self.cleared = changelist.get_query_string(remove=[str(self.parameter_name)])
        return [
            {
                "value": value,
                "display": display,
                "selected": self.is_chosen(value),
                "query_string": changelist.get_query_string({str(self.parameter_name): value}),
            }
            for value, display in self.lookup_choices
        ]

    def is_chosen(self, value: str) -> bool:
        """Whether it is one of the chosen values."""
        return value == self.text

    @property
    def shown(self) -> str:
        """What is chosen, in short."""
        return self.text

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply the choice."""
        if not self.text:
            return queryset
        try:
            return queryset.filter(self.make_condition(request))
        except ValueError as error:
            self.error = translate(error)
            return queryset.none()

    def make_condition(self, request: HttpRequest) -> Q:
        """Return the condition that a row is one of those; raise ValueError, which says how to write it."""
        raise NotImplementedError


class ManyFilter(TypedFilter):
    """Rows with any of some values of a field: `?status=FAILED,SUSPENDED`, or the parameter several times."""

    is_typed = False
    most_shown = 2

    def has_output(self) -> bool:
        """There must be something to choose."""
        return len(self.lookup_choices) > 0

    @property
    def values(self) -> list[str]:
        """The chosen ones, each once."""
        return list(dict.fromkeys(filter(None, (value.strip() for value in self.text.split(",")))))

    @property
    def shown(self) -> str:
        """The first of the chosen values, and how many others."""
        more = len(self.values) - self.most_shown
        return ", ".join(self.values[: self.most_shown]) + (f" +{more}" if more > 0 else "")

    def is_chosen(self, value: str) -> bool:
        """Whether it is one of the chosen values."""
        return value in self.values

    def make_condition(self, request: HttpRequest) -> Q:
        """Return the condition that the field has one of the values."""
        return match_any(str(self.parameter_name), self.values) if self.values else Q()


class StatusFilter(ManyFilter):
    """Jobs by status: all names of Autosubmit, whether they occur or not."""

    title, parameter_name = gettext_lazy("status"), "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The statuses."""
        return [(status, status) for status in STATUSES]

    def make_condition(self, request: HttpRequest) -> Q:
        """Refuse what Autosubmit does not call any status."""
        unknown = [value for value in self.values if value not in STATUSES]
        if unknown:
            raise ValueError(_("“%(name)s” is no status. Choose among those of the menu.") % {"name": unknown[0]})
        return super().make_condition(request)


class OfExperimentFilter(ManyFilter):
    """Jobs by the values that occur in the chosen experiment; there is nothing to choose before one is."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The values of the chosen experiment, and the chosen ones."""
        found = {*self.values}
        experiment = get_chosen_experiment(request)
        if experiment and model_admin.get_queryset(request).exists():
            found |= {str(one) for one in list_distinct(Job, str(self.parameter_name), experiment=experiment.pk) if one}
        return [(value, value) for value in sorted(found, key=lambda text: (len(text), text))]


class SectionFilter(OfExperimentFilter):
    """Jobs of some sections."""

    title, parameter_name = gettext_lazy("section"), "section"


class MemberFilter(OfExperimentFilter):
    """Jobs of some members."""

    title, parameter_name = gettext_lazy("member"), "member"


class PlatformFilter(OfExperimentFilter):
    """Jobs on some platforms."""

    title, parameter_name = gettext_lazy("platform"), "platform"


class WrapperFilter(ManyFilter):
    """Jobs of some wrappers. An address names them: an experiment may have thousands, too many for a menu."""

    title, parameter_name = gettext_lazy("wrapper"), "wrapper"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The chosen ones."""
        return [(value, value) for value in self.values]

    def make_condition(self, request: HttpRequest) -> Q:
        """Say that there is a wrapper, as the index does."""
        return super().make_condition(request) & ~Q(wrapper="")


class RangeFilter(TypedFilter):
    """Rows by ranges of a field, as `read` reads them."""

    @staticmethod
    def read(text: str) -> Any:
        """Return the ranges that a text says; raise ValueError."""
        raise NotImplementedError

    def make_condition(self, request: HttpRequest) -> Q:
        """Return the condition that the field lies in one of the ranges."""
        if len(self.text) > LONGEST:
            raise ValueError(_("This is too long. Choose a range."))
        return match_ranges(str(self.parameter_name), self.read(self.text))


class ChunkFilter(RangeFilter):
    """Jobs of some chunks."""

    title, parameter_name, example = gettext_lazy("chunk"), "chunk", "3-7,12"
    hint = gettext_lazy("Numbers and ranges, separated by commas.")
    read = staticmethod(parse_ranges)


class SplitFilter(RangeFilter):
    """Jobs of some splits."""

    title, parameter_name, example = gettext_lazy("split"), "split", "1-4"
    hint = gettext_lazy("Numbers and ranges, separated by commas.")
    read = staticmethod(parse_ranges)


class DateFilter(RangeFilter):
    """Jobs of some start dates."""

    title, parameter_name, example = gettext_lazy("date"), "date", "20000101,20050101-20101201"
    hint = gettext_lazy("Start dates and ranges of them, separated by commas.")
    read = staticmethod(parse_periods)


def tell_zone_of_moment(request: HttpRequest) -> str:
    """Return the query of an address with the moment in UTC: who opens it elsewhere then sees the same jobs.

    Blank if it says its zone already, or says no moment.
    """
    text = request.GET.get(FinishedFilter.parameter_name, "")
    at = read_instant(text)
    if at is None or parse_datetime(text) == at:
        return ""
    query = request.GET.copy()
    query[FinishedFilter.parameter_name] = at.isoformat(timespec="seconds")
    return query.urlencode()


class FinishedFilter(TypedFilter):
    """Jobs that have finished since a moment: `24h`, `7d`, the last visit of whoever asks, or a time."""

    title, parameter_name = gettext_lazy("finished since"), "finished"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The moments that are offered."""
        return [("24h", _("24 hours ago")), ("7d", _("7 days ago")), (VISIT, _("Your last visit"))]

    @property
    def typed(self) -> str:
        """What its field of time holds."""
        at = read_instant(self.text)
        return write_typed(at) if at else ""

    @property
    def shown(self) -> str:
        """The moment in words."""
        return self.typed.replace("T", " ") or str(dict(self.lookup_choices).get(self.text, self.text))

    def make_condition(self, request: HttpRequest) -> Q:
        """Return the condition that a job has finished since then.

        Their numbers are found first, by the index of that time: SQLite would look for them through all jobs instead.
        """
        return Q(pk__in=Job.objects.filter(finished_at__gte=self._find_moment(request)).values("pk"))

    def _find_moment(self, request: HttpRequest) -> datetime:
        period = _PERIOD.fullmatch(self.text)
        if period:
            hours = int(period[1]) * (24 if period[2] == "d" else 1)
            return timezone.now() - timedelta(hours=hours)
        at = find_last_visit(request.user) if self.text == VISIT else read_instant(self.text)
        if at is None and self.text == VISIT:
            raise ValueError(_("This is your first visit. Choose a time."))
        if at is None:
            raise ValueError(
                _("“%(text)s” is no time. Write 24h, 7d, or 2026-11-29T18:00.") % {"text": self.text[:100]}
            )
        return at
