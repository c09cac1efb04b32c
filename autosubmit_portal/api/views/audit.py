"""The routes of the audit trail, and what `manage.py audit export` shares with them."""

import builtins
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.http.renderers import CSVRenderer, JSONLinesRenderer, write_json_lines
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_first
from autosubmit_portal.api.openapi.documentation import answer, make_format_parameter, operation
from autosubmit_portal.api.query.pagination import NEWEST_FIRST, answer_listing, read_page
from autosubmit_portal.api.query.queries import AuditQuery
from autosubmit_portal.api.serializers.actions import AuditItem, AuditList
from autosubmit_portal.api.serializers.brief import shorten
from autosubmit_portal.api.serializers.fields import Query, write_instant
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.events import filter_between, filter_like
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Origin, make_origin
from autosubmit_portal.audit.periods import get_bounds
from autosubmit_portal.csv_lines import write_csv_lines
from experiments.audit_visibility import list_visible_entries
from jobs.autosubmit.secrets import mask_text, mask_value

# The columns of an entry in the order of the answer, and their names in the trail.
COLUMNS = {name: str(field.source) for name, field in AuditItem().fields.items()}
CONDITIONS = {"after": "id__gt"} | {
    name: COLUMNS[name] for name in ("actor", "on_behalf_of", "expid", "site", "kind", "door", "action")
}
ROWS_AT_ONCE = 2000
EXPORTS: dict[str, type[JSONLinesRenderer] | type[CSVRenderer]] = {"jsonl": JSONLinesRenderer, "csv": CSVRenderer}


class AuditEntryViewSet(PortalViewSet):
    """The audit trail."""

    tag = "Audit"
    lookup_url_kwarg = "entry_id"
    lookup_value_converter = "int"

    def get_renderers(self) -> builtins.list[BaseRenderer]:
        """Return the formats: a list can also be exported."""
        exports = [] if self.detail else [renderer() for renderer in EXPORTS.values()]
        return [*super().get_renderers(), *exports]

    @operation(
        "list_audit_entries",
        "Read the audit trail",
        {
            (200, "application/json"): answer(AuditList, "Entries, newest first."),
            (200, "application/x-ndjson"): OpenApiResponse(str, "All entries, one JSON object a line."),
            (200, "text/csv"): OpenApiResponse(str, "All entries; `details` is a column of JSON."),
        },
        parameters=[AuditQuery, make_format_parameter("json", "jsonl", "csv")],
    )
    def list(self, request: Request) -> HttpResponseBase:
        """Read who did what, when, from where, through which door, on what and with which outcome; newest first.

        JSON comes in pages, with long lists in `details` cut. JSON lines (`?format=jsonl`) and CSV (`?format=csv`) are
        all entries that match, whole, as a stream; that is an export, and recorded itself. Needs the permission
        `audit.view_auditentry`; a manager in a team or at a site reads the entries about their experiments.
        """
        query = AuditQuery.read(request)
        policy.require_view(request.user, AuditEntry)
        found = filter_matching(list_visible_entries(request.user), query).order_by("-id")
        format_name = request.accepted_renderer.format
        if format_name in EXPORTS:
            record_export(make_origin(request), format_name, query)
            return _stream(export(found, format_name), EXPORTS[format_name])
        rows = found.values(*COLUMNS.values())
        page = read_page(request, rows, NEWEST_FIRST, query, position=lambda row: [row["id"]])
        return answer_listing(page, [shorten(_write_entry(row)) for row in page.rows])

    @operation("get_audit_entry", "Show an entry of the audit trail", {200: answer(AuditItem, "The entry.")})
    def retrieve(self, request: Request, entry_id: int) -> Response:
        """Show one entry of the trail, whole, to whoever finds it in the list."""
        Query.read(request)
        policy.require_view(request.user, AuditEntry)
        rows = list_visible_entries(request.user).filter(pk=entry_id)
        row = find_first(rows.values(*COLUMNS.values()), f"There is no entry {entry_id}.")
        return Response(_write_entry(row))


def filter_matching(rows: QuerySet[AuditEntry], query: Mapping[str, Any]) -> QuerySet[AuditEntry]:
    """Return those of the rows that the parameters of an AuditQuery mean."""
    found = rows.filter(**{CONDITIONS[name]: query[name] for name in CONDITIONS if name in query})
    for column in ("event", "credential"):
        if column in query:
            found = filter_like(found, column, query[column])
    if "period" in query:
        here = timezone.localtime(timezone=timezone.get_default_timezone())
        found = filter_between(found, *get_bounds(query["period"], here))
    if {"since", "until"} & query.keys():
        found = filter_between(found, query.get("since"), query.get("until"))
    return found


def export(entries: QuerySet[AuditEntry], format_name: str) -> Iterator[str]:
    """Yield all entries as lines of a format in EXPORTS, without ever holding all of them."""
    rows = entries.values(*COLUMNS.values()).iterator(chunk_size=ROWS_AT_ONCE)
    shown = (_write_entry(row) for row in rows)
    return write_csv_lines(shown, list(COLUMNS)) if format_name == "csv" else write_json_lines(shown)


def record_export(origin: Origin, format_name: str, query: Mapping[str, Any]) -> None:
    """Record that somebody takes entries away, and which."""
    asked = {name: str(value) for name, value in query.items() if name not in ("cursor", "page_size")}
    details = {"format": format_name, "query": asked}
    trail.record("audit.exported", origin=origin, subject="audit trail", details=details)


def _write_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    entry = {name: row[column] for name, column in COLUMNS.items()}
    entry["at"] = write_instant(entry["at"])
    # New entries have none; what an older portal recorded cannot be changed.
    entry["details"], entry["message"] = mask_value(entry["details"])[0], mask_text(entry["message"])
    return entry


def _stream(lines: Iterator[str], renderer: type[JSONLinesRenderer] | type[CSVRenderer]) -> StreamingHttpResponse:
    return StreamingHttpResponse(lines, content_type=f"{renderer.media_type}; charset=utf-8")
