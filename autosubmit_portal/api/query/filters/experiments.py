"""Which experiments a query means, and in which order."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import IntegerField, Q
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from autosubmit_portal.api.query.filters.common import compare, match_site, require_all, require_given
from autosubmit_portal.api.query.pagination import Key, Order
from autosubmit_portal.api.serializers.experiments import ExperimentDetail
from autosubmit_portal.api.serializers.fields import match_wildcard

# What the answer counts, and Autosubmit's name for it.
COUNTED = {name: name.upper() for name in ("completed", "submitted", "queuing", "running", "failed", "suspended")}
# What the list is ordered by, and the column; the names are those of the answer.
_FIELDS = ExperimentDetail().fields
COLUMNS = {
    name: str(_FIELDS[name].source).replace(".", "__")
    for name in (
        *("expid", "created", "description", "id", "name", "user", "owner", "hpc", "version", "modified"),
        *("status", "total", "site", "is_running", "problem", "problem_since", "disagreement"),
        *("disagrees_since", "refreshed_at", "changed_at", "autosubmit_version", "model", "branch"),
    )
}
ORDERS = (*COLUMNS, *COUNTED)
# Times that may be asked for as `<name>_after` and `<name>_before`.
TIMES = {"created": "created_at", "changed": "changed_at", "refreshed": "refreshed_at"}
NULLABLE = frozenset((*TIMES.values(), "problem_since", "disagrees_since"))
# Orders by a count sort by this annotation.
COUNT = "ordered_count"


def choose_order(query: Mapping[str, Any]) -> Order:
    """Return the order that a query asks for; expid and site decide between equals."""
    name, is_descending = query.get("order_by", "expid"), query["order_desc"]
    column = COLUMNS.get(name, COUNT)
    first = Key(column, is_descending, is_nullable=column in NULLABLE)
    ties = [Key(tie) for tie in ("expid", "site_id") if tie != column]
    return Order(f"{'-' if is_descending else ''}{name}", (first, *ties))


def list_annotations(query: Mapping[str, Any]) -> dict[str, Combinable]:
    """Return the columns that the order of a query needs beyond those of the table."""
    name = query.get("order_by")
    return {COUNT: _count_jobs(COUNTED[name])} if name in COUNTED else {}


def make_condition(query: Mapping[str, Any]) -> Q:
    """Return the condition that an experiment is one that a query asks for."""
    in_store = Q(gone_at__isnull=not query["gone"])
    running = Q(is_running=True) if query["only_active"] else Q()
    return require_all((in_store, running, require_given(query, CONDITIONS), _match_counts(query)))


def _count_jobs(status: str) -> Combinable:
    """Return the number of jobs in a status; zeros are left out of the counts."""
    return Coalesce(Cast(KeyTextTransform(status, "status_counts"), IntegerField()), 0)


def _match_counts(query: Mapping[str, Any]) -> Q:
    """Return the condition that `<status>_min` and `<status>_max` hold, which are numbers of jobs."""
    least = (
        Q((f"status_counts__{status}__gte", query[f"{name}_min"]))
        for name, status in COUNTED.items()
        if query.get(f"{name}_min")
    )
    most = (
        Q((f"status_counts__{status}__lte", query[f"{name}_max"])) | ~_has_jobs(status)
        for name, status in COUNTED.items()
        if f"{name}_max" in query
    )
    return require_all((*least, *most))


def _has_jobs(status: str) -> Q:
    return Q(status_counts__has_key=status)  # zeros are left out


def _match_text(text: str) -> Q:
    columns = ("expid", "description", "owner", "recorded_owner")
    return reduce(or_, (Q(**{f"{column}__icontains": text}) for column in columns))


def _match_owner(text: str) -> Q:
    """Return the condition on the owner: by folder or as recorded. A negated name must be neither."""
    by_folder, as_recorded = match_wildcard("owner", text), match_wildcard("recorded_owner", text)
    return by_folder & as_recorded if text.startswith("!") else by_folder | as_recorded


def _match_run_host(text: str) -> Q:
    """Return the condition on the host of the run. A negated name also means those of which none is known."""
    matches = match_wildcard("run_host__name", text)
    return matches | Q(run_host=None) if text.startswith("!") else matches


def _match_type(name: str) -> Q:
    first = {"test": Q(expid__startswith="t"), "operational": Q(expid__startswith="o")}
    return first[name] if name in first else ~first["test"] & ~first["operational"]


def _match_attention(wanted: str) -> Q:
    """Return the condition that something needs somebody, or nothing, or that a rule has found something."""
    found = ~Q(attention_rules="")
    if wanted in ("true", "false"):
        return found if wanted == "true" else Q(attention_rules="")
    return found & Q(attention_rules__contains=f",{wanted},")


def _match_wildcard(column: str) -> Callable[[Any], Q]:
    return lambda text: match_wildcard(column, text)


CONDITIONS: dict[str, Callable[[Any], Q]] = {
    "query": _match_text,
    "exp_type": _match_type,
    "expid": _match_wildcard("expid"),
    "owner": _match_owner,
    "hpc": _match_wildcard("hpc"),
    "run_host": _match_run_host,
    "autosubmit_version": _match_wildcard("version"),
    "model": _match_wildcard("model"),
    "branch": _match_wildcard("branch"),
    "site": match_site,
    "is_running": lambda is_running: Q(is_running=is_running),
    "has_problem": lambda has_problem: ~Q(problem="") if has_problem else Q(problem=""),
    "disagrees": lambda disagrees: ~Q(disagreement="") if disagrees else Q(disagreement=""),
    "attention": _match_attention,
    "failed": lambda failed: Q(failed_jobs__gt=0) if failed else Q(failed_jobs=0),
    "total_min": compare("total_jobs", "gte"),
    "total_max": compare("total_jobs", "lte"),
    **{f"{name}_after": compare(column, "gte") for name, column in TIMES.items()},
    **{f"{name}_before": compare(column, "lt") for name, column in TIMES.items()},
}
