"""Lists in pages: by number as in Autosubmit API, and by cursor, which costs the same at any depth.

A cursor is the position of a row in an order. The page begins behind it, so that rows that come or go elsewhere shift
nothing. Cursors are signed with the secret key, so their content needs no further check.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from operator import attrgetter
from typing import Any

from django.core.signing import BadSignature, Signer
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from experiments.actions.refusals import InvalidParameters

INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Key:
    """A column of an order, by its ORM name. Rows without a value come last in both directions."""

    column: str
    is_descending: bool = False
    is_nullable: bool = False
    has_nulls_first: bool = False

    def reverse(self) -> "Key":
        """Return the key in the opposite direction."""
        return replace(self, is_descending=not self.is_descending, has_nulls_first=not self.has_nulls_first)

    def make_expression(self) -> OrderBy:
        """Return the key as a part of ORDER BY; NULLS LAST only for columns with nulls, or no index serves."""
        nulls: dict[str, bool] = {}
        if self.is_nullable:
            nulls = {"nulls_first": True} if self.has_nulls_first else {"nulls_last": True}
        return OrderBy(F(self.column), descending=self.is_descending, **nulls)

    def make_same(self, value: Any) -> Q:
        """Return the condition that a row has this value."""
        return Q((f"{self.column}__isnull", True)) if value is None else Q((self.column, value))

    def make_behind(self, value: Any) -> Q:
        """Return the condition that a row comes behind this value."""
        is_null, is_set = Q((f"{self.column}__isnull", True)), Q((f"{self.column}__isnull", False))
        if value is None:
            return is_set if self.has_nulls_first else Q(pk__in=[])
        further = Q((f"{self.column}__{'lt' if self.is_descending else 'gt'}", value))
        return further | is_null if self.is_nullable and not self.has_nulls_first else further

    def make_bound(self, value: Any) -> Q:
        """Return a condition that all rows from this value on meet, in a form that an index serves; may be empty."""
        if self.is_nullable:
            return Q()
        return Q((f"{self.column}__{'lte' if self.is_descending else 'gte'}", value))


@dataclass(frozen=True, slots=True)
class Order:
    """An order of rows; the last of its keys decide between equals. `name` tells the cursors of orders apart."""

    name: str
    keys: tuple[Key, ...]

    @property
    def columns(self) -> list[str]:
        """The columns of its keys."""
        return [key.column for key in self.keys]

    def reverse(self) -> "Order":
        """Return the opposite order."""
        return replace(self, keys=tuple(key.reverse() for key in self.keys))

    def make_expressions(self) -> list[OrderBy]:
        """Return the order as the parts of ORDER BY."""
        return [key.make_expression() for key in self.keys]


NEWEST_FIRST = Order("-id", (Key("id", is_descending=True),))
BY_SLUG = Order("slug", (Key("slug"),))


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in an order, and whether the page lies before it."""

    order: Order
    values: Sequence[Any]
    is_backward: bool

    @classmethod
    def read(cls, text: str, order: Order) -> "Cursor":
        """Return the cursor; raise InvalidParameters for what is no cursor of ours or one of another order."""
        try:
            name, is_backward, values = _make_signer().unsign_object(text)
        except (BadSignature, ValueError):
            raise _make_refusal("Take it from `next` or `previous` of another answer.") from None
        if name != order.name:
            raise _make_refusal("It belongs to another order; begin anew without it.")
        return cls(order, [_decode(value) for value in values], is_backward)

    def __str__(self) -> str:
        values = [_encode(value) for value in self.values]
        text: str = _make_signer().sign_object((self.order.name, self.is_backward, values))
        return text

    @property
    def direction(self) -> Order:
        """The order in which it leads on."""
        return self.order.reverse() if self.is_backward else self.order

    def make_condition(self) -> Q:
        """Return which rows lie behind the position; before it, if it leads backward."""
        return _make_condition(self.direction.keys, self.values)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the addresses of the pages behind and before them."""

    rows: Any  # a list; each shape takes what it describes
    next: str | None
    previous: str | None


def read_page(
    request: Request,
    rows: QuerySet[Any, Any],
    order: Order,
    query: Mapping[str, Any],
    position: Callable[[Any], Sequence[Any]] | None = None,
) -> Page:
    """Return the page that `cursor`, or else `page`, and `page_size` of a query ask for, with one statement.

    `position` returns the values that a row has in the columns of the order; by default its attributes. One row more
    than fits is read, to know whether there is another page.
    """
    position = position or _make_reader(order)
    size: int = query["page_size"]
    cursor = Cursor.read(query["cursor"], order) if query.get("cursor") else None
    start = 0 if cursor else (query.get("page", 1) - 1) * size
    found = list(_start_at(rows, order, cursor)[start : start + size + 1])
    is_backward = bool(cursor and cursor.is_backward)
    has_more, found = len(found) > size, found[:size]
    if is_backward:
        found.reverse()
    has_next, has_previous = is_backward or has_more, has_more if is_backward else bool(cursor or start)
    return Page(
        found,
        _make_address(request, Cursor(order, position(found[-1]), False)) if found and has_next else None,
        _make_address(request, Cursor(order, position(found[0]), True)) if found and has_previous else None,
    )


def make_numbered_page(request: Request, items: Sequence[Any], query: Mapping[str, Any]) -> Page:
    """Return the page of a short list that `page` and `page_size` of a query ask for."""
    number, size = query["page"], query["page_size"]
    found = items[(number - 1) * size : number * size]
    return Page(
        found,
        _make_numbered_address(request, number + 1) if number * size < len(items) else None,
        _make_numbered_address(request, number - 1) if found and number > 1 else None,
    )


def answer_listing(page: Page, results: Any) -> Response:
    """Answer a page of a list that has no numbered pages."""
    return Response({"next": page.next, "previous": page.previous, "results": results})


def make_page_info(query: Mapping[str, Any], page: Page, total_items: int) -> dict[str, int | str | None]:
    """Return where a page is among all, as Autosubmit API does, and where to go on.

    There is always a first page, also of nothing. A page that a cursor led to has no number.
    """
    size: int | None = query.get("page_size")
    return {
        "page": None if query.get("cursor") else query["page"] if size else 1,
        "page_size": size,
        "total_pages": max(1, ceil(total_items / size)) if size else 1,
        "page_items": len(page.rows),
        "total_items": total_items,
        "next": page.next,
        "previous": page.previous,
    }


def _start_at(rows: QuerySet[Any, Any], order: Order, cursor: Cursor | None) -> QuerySet[Any, Any]:
    if cursor is None:
        return rows.order_by(*order.make_expressions())
    return rows.filter(cursor.make_condition()).order_by(*cursor.direction.make_expressions())


def _make_condition(keys: Sequence[Key], values: Sequence[Any]) -> Q:
    """Return the condition that a row comes behind one that has `values` in the columns of `keys`."""
    key, value = keys[0], values[0]
    behind = key.make_behind(value)
    if len(keys) > 1:
        behind |= key.make_same(value) & _make_condition(keys[1:], values[1:])
    return key.make_bound(value) & behind


def _make_reader(order: Order) -> Callable[[Any], Sequence[Any]]:
    read = [attrgetter(column.replace("__", ".")) for column in order.columns]
    return lambda row: [of(row) for of in read]


def _make_address(request: Request, cursor: Cursor) -> str:
    address = remove_query_param(request.build_absolute_uri(), "page")
    return str(replace_query_param(address, "cursor", str(cursor)))


def _make_numbered_address(request: Request, number: int) -> str:
    return str(replace_query_param(request.build_absolute_uri(), "page", number))


def _make_signer() -> Signer:
    return Signer(salt="autosubmit_portal.api.cursor")


def _encode(value: Any) -> Any:
    return {INSTANT: value.isoformat()} if isinstance(value, datetime) else value


def _decode(value: Any) -> Any:
    return datetime.fromisoformat(value[INSTANT]) if isinstance(value, dict) else value


def _make_refusal(remedy: str) -> InvalidParameters:
    return InvalidParameters({"cursor": [remedy]})
