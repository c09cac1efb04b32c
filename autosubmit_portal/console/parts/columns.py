"""Columns of the lists, each declared in one line of its admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin

from autosubmit_portal.console.text import Text

Column = Callable[[Any, Any], Any]
"""A method of an admin that returns what stands in the column of a row."""


def make_column(title: Text, show: Callable[[Any], Any], ordering: Any = None) -> Column:
    """Return a column with what `show` makes of a row; `ordering` is what a click on the title sorts by."""

    @admin.display(description=title, ordering=ordering)
    def cell(_admin: Any, row: Any) -> Any:
        return show(row)

    return cell


def make_field_column(title: Text, name: str, show: Callable[[Any], Any] = str, *, is_sorted: bool = True) -> Column:
    """Return a column with what `show` makes of the field `name`, sorted by that field unless it should not be."""
    return make_column(title, lambda row: show(getattr(row, name)), name if is_sorted else None)
