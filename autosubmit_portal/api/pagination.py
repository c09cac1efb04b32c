"""Lists in pages: numbered ones in the shape of Autosubmit API, and ones that are read from their newest entry."""

from math import ceil

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from experiments.actions.refusals import InvalidParameters


def page_info(page: int, page_size: int | None, page_items: int, total_items: int) -> dict[str, int | None]:
    """Return where a page is among all; there is always a first page, also of nothing."""
    return {
        "page": page if page_size else 1,
        "page_size": page_size,
        "total_pages": max(1, ceil(total_items / page_size)) if page_size else 1,
        "page_items": page_items,
        "total_items": total_items,
    }


def page_slice(page: int, page_size: int) -> slice:
    """Return which rows stand on a page."""
    return slice((page - 1) * page_size, page * page_size)


class NewestFirst(CursorPagination):
    """Pages from the newest entry on. They cost the same however long the list is, and new entries shift nothing."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where to go on; raise InvalidParameters for what is no cursor of ours."""
        try:
            cursor: Cursor | None = super().decode_cursor(request)
        except NotFound:
            raise _unknown_cursor() from None
        if cursor and cursor.position and not self.is_position(str(cursor.position)):
            raise _unknown_cursor()
        return cursor

    def is_position(self, text: str) -> bool:
        """Answer whether `text` may stand in the column of the order."""
        return text.isdecimal()


class BySlug(NewestFirst):
    """Pages of a short list in the order of its names."""

    ordering = "slug"

    def is_position(self, text: str) -> bool:
        """Answer whether `text` may be a name."""
        return text.isprintable()


def _unknown_cursor() -> InvalidParameters:
    return InvalidParameters({"cursor": ["Take it from `next` or `previous` of another answer."]})
