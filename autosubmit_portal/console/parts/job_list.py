"""The list of jobs: which columns it has, and by which it is sorted. Its address says both by name.

?columns=name,status,finished&o=-finished
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import Case, DurationField, F, Func, Q, QuerySet, When
from django.db.models.expressions import OrderBy
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autosubmit_portal.console.parts.base import BriefChangeList
from autosubmit_portal.console.parts.chosen import get_chosen_experiment
from autosubmit_portal.console.parts.csv_lists import Source
from autosubmit_portal.console.parts.job_filters import ManyFilter
from jobs.autosubmit.statuses import ACTIVE
from jobs.models import Job

COLUMNS_VAR = "columns"


@dataclass(frozen=True, slots=True)
class JobColumn:
    """A column: what it is called in `list_display`, its title, what it is sorted by, and its fields in CSV."""

    cell: str
    title: Any
    order: Any
    fields: tuple[str, ...]


def _of_field(name: str, title: Any, *, cell: str = "") -> JobColumn:
    return JobColumn(cell or name, title, F(name), (name,))


class Between(Func):
    """How long it is from one instant to another: the later one is given first."""

    arg_joiner = " - "
    template = "(%(expressions)s)"
    output_field = DurationField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Have SQLite itself read the instants, as days: for each row Django would have it call Python, for seconds."""
        days = self.copy()
        days.set_source_expressions([Func(one, function="julianday") for one in self.get_source_expressions()])
        return days.as_sql(compiler, connection, **context)


COLUMNS: Mapping[str, JobColumn] = {
    "name": _of_field("name", gettext_lazy("Name")),
    "status": _of_field("status", gettext_lazy("Status"), cell="chip"),
    "experiment": JobColumn(
        "of_experiment",
        gettext_lazy("Experiment"),
        F("experiment__expid"),
        ("experiment__site__slug", "experiment__expid"),
    ),
    "section": _of_field("section", gettext_lazy("Section")),
    "date": _of_field("date", gettext_lazy("Date"), cell="start_date"),
    "member": _of_field("member", gettext_lazy("Member")),
    "chunk": _of_field("chunk", gettext_lazy("Chunk")),
    "split": _of_field("split", gettext_lazy("Split")),
    "platform": _of_field("platform", gettext_lazy("Platform")),
    "queue": _of_field("qos", gettext_lazy("Queue"), cell="queue"),
    "processors": _of_field("processors", gettext_lazy("Processors")),
    "wallclock": _of_field("wallclock", gettext_lazy("Wallclock")),
    "wrapper": _of_field("wrapper", gettext_lazy("Wrapper")),
    "remote": _of_field("remote_id", gettext_lazy("Id on the platform"), cell="remote"),
    "failures": _of_field("fail_count", gettext_lazy("Failed attempts"), cell="failures"),
    "submitted": _of_field("submitted_at", gettext_lazy("Submitted"), cell="submitted"),
    "started": _of_field("started_at", gettext_lazy("Started"), cell="started"),
    "finished": _of_field("finished_at", gettext_lazy("Finished"), cell="finished"),
    "waited": JobColumn(
        "waited", gettext_lazy("Waited"), Between("started_at", "submitted_at"), ("submitted_at", "started_at")
    ),
    "took": JobColumn(
        "took", gettext_lazy("Took"), Between("finished_at", "started_at"), ("started_at", "finished_at")
    ),
}
USUAL = ("name", "status", "experiment", "section", "member", "chunk", "platform", "submitted", "started", "took")
MOST_SORTED = 5000
"""Of more jobs than these, what has failed and what is on a platform does not come first: no index sorts them so."""
_URGENT_FIRST = Case(When(status="FAILED", then=0), When(status__in=ACTIVE, then=1), default=2)
_ALWAYS_THERE = {field.name for field in Job._meta.concrete_fields if not field.null}
CELLS = {column.cell: name for name, column in COLUMNS.items()}


def _refuse_column(name: str) -> str:
    return _("“%(name)s” is no column. There are: %(all)s.") % {"name": name[:100], "all": ", ".join(COLUMNS)}


def _sort(order: Any, *, is_descending: bool) -> OrderBy:
    """Return what sorts by a field or a length of time; what a job does not have comes last either way."""
    is_always_there = getattr(order, "name", None) in _ALWAYS_THERE
    nulls_last = None if is_always_there else True
    found: OrderBy = order.desc(nulls_last=nulls_last) if is_descending else order.asc(nulls_last=nulls_last)
    return found


def read_columns(request: HttpRequest) -> list[str]:
    """Return the names of the columns that the address asks for, in the order of COLUMNS; by default the usual ones."""
    asked = {name.strip() for text in request.GET.getlist(COLUMNS_VAR) for name in text.split(",")}
    chosen = [name for name in COLUMNS if name in asked] or [*USUAL]
    is_same_for_all = get_chosen_experiment(request) is not None
    return [name for name in chosen if name != "experiment" or not is_same_for_all] or ["name"]


class ColumnsFilter(ManyFilter):
    """The choice of columns, which stands among the filters and leaves out no job."""

    title, parameter_name = gettext_lazy("columns"), COLUMNS_VAR

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All columns but that of the experiment where it is the same for all."""
        is_same_for_all = get_chosen_experiment(request) is not None
        known = [name for name in COLUMNS if name != "experiment" or not is_same_for_all]
        return [(name, str(COLUMNS[name].title)) for name in known]

    @property
    def shown(self) -> str:
        """How many are shown."""
        return str(len(self.values))

    def is_chosen(self, value: str) -> bool:
        """Whether it is shown."""
        return value in (self.values or USUAL)

    def make_condition(self, request: HttpRequest) -> Q:
        """Refuse what is no column."""
        unknown = [name for name in self.values if name not in COLUMNS]
        if unknown:
            raise ValueError(_refuse_column(unknown[0]))
        return Q()


class JobChangeList(BriefChangeList):
    """A list of jobs whose address says by the names of columns what it is sorted by; they need not be shown."""

    @property
    def complaints(self) -> "list[tuple[str, str]]":
        """What is wrong with the address: the title of a filter, and what to write."""
        specs = [(str(spec.title).capitalize(), getattr(spec, "error", "")) for spec in self.filter_specs]
        unknown = [name for name, _is_descending in self._read_order() if name not in COLUMNS]
        order = [(_("Order"), _refuse_column(name)) for name in unknown[:1]]
        return [*((title, error) for title, error in specs if error), *order]

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Return what the rows are sorted by; what a job does not have comes last either way."""
        known = [(COLUMNS[name].order, is_descending) for name, is_descending in self._read_order() if name in COLUMNS]
        experiment = get_chosen_experiment(request)
        last = "-pk" if experiment is None else "pk"  # the order of the job list
        if not known and experiment is not None and experiment.total_jobs <= MOST_SORTED:
            return [_URGENT_FIRST, last]
        return [*(_sort(order, is_descending=is_descending) for order, is_descending in known), last]

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        """Return by the place of a column whether it is sorted upwards or downwards."""
        places = {name: place for place, cell in enumerate(self.list_display) if (name := CELLS.get(str(cell)))}
        return {places[name]: "desc" if down else "asc" for name, down in self._read_order() if name in places}

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """Return the query of an address, which says the order by names; Django's headers number the columns."""
        order = (new_params or {}).get(ORDER_VAR)
        if order:
            new_params = {**new_params, ORDER_VAR: ".".join(map(self._name_column, order.split(".")))}
        return super().get_query_string(new_params, remove)

    def _name_column(self, number: str) -> str:
        return f"{'-' if number.startswith('-') else ''}{CELLS[str(self.list_display[int(number.lstrip('-'))])]}"

    def _read_order(self) -> Iterator[tuple[str, bool]]:
        """Yield the names of columns in the address, and whether downwards."""
        for part in filter(None, self.params.get(ORDER_VAR, "").split(".")):
            yield part.removeprefix("-"), part.startswith("-")


def list_csv_columns(request: HttpRequest, all_columns: Mapping[str, Source]) -> Mapping[str, Source]:
    """Return the fields by heading of a CSV of the columns that the address asks for; all if it asks for none."""
    if COLUMNS_VAR not in request.GET:
        return all_columns
    wanted = {field for name in read_columns(request) for field in COLUMNS[name].fields}
    return {heading: field for heading, field in all_columns.items() if field in wanted}
