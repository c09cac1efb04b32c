"""Which jobs a query means, and in which order."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import Q

from autosubmit_portal.api.query.filters.common import among, compared, given, within
from autosubmit_portal.api.query.pagination import Key, Order
from autosubmit_portal.api.serializers.fields import wildcard
from jobs.autosubmit.start_dates import Period
from jobs.models import Job

# Times that may be asked for as `<name>_after` and `<name>_before`.
TIMES = {"submit": "submitted_at", "start": "started_at", "finish": "finished_at"}
# What the list is ordered by, and the column; the names are those of the answer.
ORDERS = {
    name: TIMES.get(name, name)
    for name in (
        *("name", "status", "priority", "section", "date", "member", "chunk", "split", "splits", "platform"),
        *("remote_id", "qos", "processors", "wallclock", "submit", "start", "finish", "fail_count"),
    )
}


def order_of(query: Mapping[str, Any]) -> Order:
    """Return the order that a query asks for; the name, which is unique in an experiment, decides between equals."""
    name, is_descending = query["order_by"], query["order_desc"]
    column = ORDERS[name]
    first = Key(column, is_descending, is_nullable=bool(Job._meta.get_field(column).null))
    ties = () if column == "name" else (Key("name"),)
    return Order(f"{'-' if is_descending else ''}{name}", (first, *ties))


def condition_of(query: Mapping[str, Any]) -> Q:
    """Return the condition that a job is one that a query asks for."""
    return given(query, CONDITIONS)


def _on(periods: Iterable[Period]) -> Q:
    together = Q(pk__in=[])
    for ends in periods:
        together |= Q(date__range=ends)
    return together


CONDITIONS: dict[str, Callable[[Any], Q]] = {
    "job_name": lambda text: wildcard("name", text, is_part=True),
    "status": among("status"),
    "section": among("section"),
    "member": among("member"),
    "date": _on,
    "chunk": within("chunk"),
    "split": within("split"),
    "platform": lambda text: wildcard("platform", text),
    "fail_count_min": compared("fail_count", "gte"),
    "fail_count_max": compared("fail_count", "lte"),
    **{f"{name}_after": compared(column, "gte") for name, column in TIMES.items()},
    **{f"{name}_before": compared(column, "lt") for name, column in TIMES.items()},
}
