"""Which jobs a query means, and in which order."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.db.models import Q

from autosubmit_portal.api.query.filters.common import compare, require_given
from autosubmit_portal.api.query.pagination import Key, Order
from autosubmit_portal.api.serializers.fields import match_wildcard
from jobs.models import Job
from jobs.ranges import match_any, match_ranges

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


def choose_order(query: Mapping[str, Any]) -> Order:
    """Return the order that a query asks for; the name, which is unique in an experiment, decides between equals."""
    name, is_descending = query["order_by"], query["order_desc"]
    column = ORDERS[name]
    first = Key(column, is_descending, is_nullable=bool(Job._meta.get_field(column).null))
    ties = () if column == "name" else (Key("name"),)
    return Order(f"{'-' if is_descending else ''}{name}", (first, *ties))


def make_condition(query: Mapping[str, Any]) -> Q:
    """Return the condition that a job is one that a query asks for."""
    return require_given(query, CONDITIONS)


CONDITIONS: dict[str, Callable[[Any], Q]] = {
    "job_name": lambda text: match_wildcard("name", text, is_part=True),
    "status": partial(match_any, "status"),
    "section": partial(match_any, "section"),
    "member": partial(match_any, "member"),
    "date": partial(match_ranges, "date"),
    "chunk": partial(match_ranges, "chunk"),
    "split": partial(match_ranges, "split"),
    "platform": lambda text: match_wildcard("platform", text),
    "fail_count_min": compare("fail_count", "gte"),
    "fail_count_max": compare("fail_count", "lte"),
    **{f"{name}_after": compare(column, "gte") for name, column in TIMES.items()},
    **{f"{name}_before": compare(column, "lt") for name, column in TIMES.items()},
}
