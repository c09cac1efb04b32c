"""The route of the audit trail."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access import policy
from autosubmit_portal.api import examples
from autosubmit_portal.api.brief import brief
from autosubmit_portal.api.documentation import ENTRY_ID, answer, format_parameter, operation
from autosubmit_portal.api.fields import Query, instant, wildcard
from autosubmit_portal.api.formats import CSVRenderer, JSONLinesRenderer, PortalView, csv_lines, json_lines
from autosubmit_portal.api.pagination import NEWEST_FIRST, listing, read_page
from autosubmit_portal.api.queries import AuditQuery
from autosubmit_portal.api.shapes.actions import AuditItem, AuditList
from autosubmit_portal.audit.models import AuditEntry
from experiments.entries import entries_visible_to

# The columns of an entry in the order of the answer, and their names in the trail.
COLUMNS = {
    "id": "id",
    "at": "at",
    "event": "event",
    "actor": "actor_name",
    "actor_id": "actor_id",
    "address": "address",
    "door": "door",
    "subject": "subject",
    "site": "site",
    "expid": "expid",
    "action": "action_id",
    "kind": "kind",
    "details": "details",
    "message": "message",
}
CONDITIONS = {
    "actor": "actor_name",
    "expid": "expid",
    "site": "site",
    "kind": "kind",
    "door": "door",
    "action": "action_id",
    "since": "at__gte",
    "until": "at__lt",
}
ROWS_AT_ONCE = 2000


class AuditView(PortalView):
    """The audit trail."""

    renderer_classes = (*PortalView.renderer_classes, JSONLinesRenderer, CSVRenderer)

    @operation(
        "list_audit_entries",
        "Read the audit trail",
        parameters=[AuditQuery, format_parameter("json", "jsonl", "csv")],
        answers={
            (200, "application/json"): answer(AuditList, "Entries, newest first.", examples.AUDIT),
            (200, "application/x-ndjson"): OpenApiResponse(str, "All entries, one JSON object a line."),
            (200, "text/csv"): OpenApiResponse(str, "All entries; `details` is a column of JSON."),
        },
        errors=[400],
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Read who did what, when, from where, through which door, on what and with which outcome; newest first.

        JSON comes in pages, with long lists in `details` cut. JSON lines (`?format=jsonl`) and CSV (`?format=csv`) are
        all entries that match, whole, as a stream. Needs the permission `audit.view_auditentry`; a manager in a team or
        at a site reads the entries about their experiments.
        """
        query = AuditQuery.of(request)
        policy.require_view(request.user, AuditEntry)
        found = _matching(query, entries_visible_to(request.user))
        match request.accepted_renderer.format:
            case "jsonl":
                return _stream(json_lines(_all(found)), JSONLinesRenderer)
            case "csv":
                return _stream(csv_lines(_all(found), list(COLUMNS)), CSVRenderer)
        page = read_page(request, found, NEWEST_FIRST, query, position=lambda row: [row["id"]])
        return listing(page, [brief(_entry(row)) for row in page.rows])


class AuditEntryView(PortalView):
    """One entry of the trail."""

    @operation(
        "get_audit_entry",
        "Show an entry of the audit trail",
        parameters=[ENTRY_ID],
        answers={200: answer(AuditItem, "The entry.", examples.AUDIT_ENTRY)},
        errors=[400, 404],
    )
    def get(self, request: Request, entry_id: int) -> Response:
        """Show one entry of the trail, whole, to whoever finds it in the list."""
        Query.of(request)
        policy.require_view(request.user, AuditEntry)
        row = entries_visible_to(request.user).filter(pk=entry_id).values(*COLUMNS.values()).first()
        if row is None:
            raise NotFound(f"There is no entry {entry_id}.")
        return Response(_entry(row))


def _matching(
    query: Mapping[str, Any], entries: QuerySet[AuditEntry]
) -> QuerySet[AuditEntry, dict[str, Any]]:
    found: QuerySet[AuditEntry] = entries.filter(
        **{CONDITIONS[name]: query[name] for name in CONDITIONS if name in query}
    )
    if "event" in query:
        found = found.filter(wildcard("event", query["event"]))
    rows: QuerySet[AuditEntry, dict[str, Any]] = found.order_by("-id").values(*COLUMNS.values())
    return rows


def _all(entries: QuerySet[AuditEntry, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every entry without ever holding all of them."""
    return (_entry(row) for row in entries.iterator(chunk_size=ROWS_AT_ONCE))


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    entry = {name: row[column] for name, column in COLUMNS.items()}
    entry["at"] = instant(entry["at"])
    return entry


def _stream(
    lines: Iterator[str], renderer: type[JSONLinesRenderer] | type[CSVRenderer]
) -> StreamingHttpResponse:
    return StreamingHttpResponse(lines, content_type=f"{renderer.media_type}; charset=utf-8")
