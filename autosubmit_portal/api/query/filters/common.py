"""Conditions that several lists have."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import Q

from experiments.models import Site


def require_all(conditions: Iterable[Q]) -> Q:
    """Return the condition that all `conditions` are true."""
    together = Q()
    for condition in conditions:
        together &= condition
    return together


def require_given(query: Mapping[str, Any], conditions: Mapping[str, Callable[[Any], Q]]) -> Q:
    """Return the condition of all the parameters that a query gives, each made of its value."""
    return require_all(make(query[name]) for name, make in conditions.items() if name in query)


def compare(column: str, lookup: str) -> Callable[[Any], Q]:
    """Return a function from a value to the condition that a column compares with it."""
    return lambda value: Q((f"{column}__{lookup}", value))


def match_site(slug: str) -> Q:
    """Return the condition that a row is of a site, by its key: the database then knows how many rows it has."""
    key = Site.objects.filter(slug=slug).values_list("pk", flat=True).first()
    return Q(pk__in=[]) if key is None else Q(site=key)
