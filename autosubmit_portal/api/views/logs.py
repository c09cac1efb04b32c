"""Routes of logs: those of Autosubmit's commands on an experiment, and those of a job."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, PolymorphicProxySerializer
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal.api.action_requests import LONGEST_WAIT_SECONDS, read_wait
from autosubmit_portal.api.http.errors import ProblemRenderer, make_problem
from autosubmit_portal.api.http.ranges import Unsatisfiable, answer_text
from autosubmit_portal.api.http.renderers import TextRenderer
from autosubmit_portal.api.http.viewsets import PortalViewSet
from autosubmit_portal.api.objects import find_experiment, find_job
from autosubmit_portal.api.openapi.documentation import answer, make_format_parameter, make_header, operation
from autosubmit_portal.api.openapi.examples import make_example
from autosubmit_portal.api.query.pagination import make_numbered_page, make_page_info
from autosubmit_portal.api.query.queries import LogQuery, LogsQuery
from autosubmit_portal.api.serializers.logs import LogItem, LogList, LogMatches, LogPart
from autosubmit_portal.waits import make_headers, wait_until
from experiments.logs import Log, Logs, is_log_over
from experiments.models import Experiment
from jobs.autosubmit.characters import describe_part
from jobs.autosubmit.logs.reader import NoSuchLog
from jobs.models import Job

PIECE_BYTES = 65_536
LOOK_EVERY_SECONDS = 0.25

RANGE = make_header(
    "Range",
    "Of the text: `bytes=a-b`, `bytes=a-` or `bytes=-n`, answered with 206. Several answer the whole.",
    "The last kilobyte",
    "bytes=-1024",
)
IF_RANGE = make_header(
    "If-Range",
    "The `ETag` of an earlier answer: the range only if the file is still the same, else the whole.",
    "Tag",
    '"fe01-2c01a-3568-187b5e1c5a9f3b2e"',
)
WAIT = make_header(
    "Prefer",
    f"Of JSON: `wait=N` (RFC 7240): wait up to N seconds, at most {LONGEST_WAIT_SECONDS}, until there is "
    "something after `offset`. Few wait at the same time: without a place, the answer comes at once with "
    "`Preference-Applied: wait=0`, and `Retry-After` says when to ask again.",
    "Wait",
    "wait=20",
)
CONTENT: dict[Any, OpenApiResponse] = {
    (200, "text/plain"): OpenApiResponse(str, "The log, as it is now."),
    (200, "application/json"): OpenApiResponse(
        PolymorphicProxySerializer("LogPartOrMatches", [LogPart, LogMatches], None),
        "A part of the log, or what a search found.",
        [OpenApiExample("Part", make_example(LogPart)), OpenApiExample("Search", make_example(LogMatches))],
    ),
    (206, "text/plain"): OpenApiResponse(str, "The range of it that was asked for."),
}


class LogsViewSet(PortalViewSet):
    """What all logs have in common."""

    tag = "Logs"
    items = ("logs", "name")
    lookup_url_kwarg = "log"
    lookup_value_converter = "name"

    def get_renderers(self) -> list[BaseRenderer]:
        """Return the formats: a log itself is text."""
        return [TextRenderer(), JSONRenderer()] if self.detail else super().get_renderers()


class LogViewSet(LogsViewSet):
    """The logs of an experiment."""

    @operation(
        "list_logs",
        "List the logs of an experiment",
        {200: answer(LogList, "Logs, the one written last first.")},
        parameters=[LogsQuery],
        errors=[503],
    )
    def list(self, request: Request, expid: str) -> Response:
        """List what Autosubmit's commands on the experiment have logged (`tmp/ASLOGS`), asked for here or elsewhere."""
        return _list(request, Owner.find(request, LogsQuery.read(request), expid))

    @operation(
        "get_log",
        "Read or search a log of an experiment",
        CONTENT,
        parameters=[LogQuery, RANGE, IF_RANGE, WAIT, make_format_parameter("txt", "json")],
        errors=[416, 503],
    )
    def retrieve(self, request: Request, expid: str, log: str) -> HttpResponseBase:
        """Read a log, follow it, or search in it.

        As text it is the whole log, a range of it, or the part that `offset` and `limit` say. As JSON
        (`?format=json` or `Accept: application/json`) it is a part with where it ends: ask again with
        `offset=next_offset`, the same `file` and `Prefer: wait=20` until `is_over`. With `search` the answer is always
        JSON: ask again with `offset=next_offset` and `line=next_line` until `is_complete`; one search takes about 2 s
        at most. A compressed log is read as if it were not; all before the part is unpacked each time.
        """
        query = LogQuery.read(request)
        return _answer_content(request, Owner.find(request, query, expid), log, query)


class JobLogViewSet(LogsViewSet):
    """The logs of a job."""

    @operation(
        "list_job_logs",
        "List the logs of a job",
        {200: answer(LogList, "Logs, the one written last first.")},
        parameters=[LogsQuery],
        errors=[503],
    )
    def list(self, request: Request, expid: str, job: str) -> Response:
        """List the logs of every attempt at the job, and its script."""
        return _list(request, Owner.find(request, LogsQuery.read(request), expid, job))

    @operation(
        "get_job_log",
        "Read or search a log of a job",
        CONTENT,
        parameters=[LogQuery, RANGE, IF_RANGE, WAIT, make_format_parameter("txt", "json")],
        errors=[416, 503],
    )
    def retrieve(self, request: Request, expid: str, job: str, log: str) -> HttpResponseBase:
        """Read a log of the job, follow it, or search in it, as a log of an experiment."""
        query = LogQuery.read(request)
        return _answer_content(request, Owner.find(request, query, expid, job), log, query)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose logs they are: an experiment's, or those of one of its jobs."""

    experiment: Experiment
    job: Job | None

    @classmethod
    def find(cls, request: Request, query: Mapping[str, Any], expid: str, job: str | None = None) -> "Owner":
        """Return the owner that the address names, if whoever asks may see it."""
        if job is None:
            return cls(find_experiment(request, expid, query.get("site")), None)
        experiment = find_experiment(request, expid, query.get("site"), showing=Job)
        return cls(experiment, find_job(experiment, job))

    def open(self, name: str) -> Log:
        """Open a log. Raises NoSuchLog and BrokenStore."""
        return Logs(self.experiment, self.job).open(name)

    def has_ended(self, log: Log) -> bool:
        """Answer whether nothing more will be written to a log, by what is mirrored now."""
        if self.job is None:
            self.experiment.refresh_from_db(fields=["is_running"])
        else:
            self.job.refresh_from_db(fields=["status", "finished_at"])
        return is_log_over(log, self.experiment, self.job)


def _list(request: Request, owner: Owner) -> Response:
    query = LogsQuery.read(request)
    with _describe():
        files = Logs(owner.experiment, owner.job).list_files()
    page = make_numbered_page(request, files, query)
    site = f"?{urlencode({'site': query['site']})}" if "site" in query else ""
    items = [
        LogItem(
            {
                "name": file.name,
                "kind": file.kind,
                "size": file.size,
                "modified": file.modified_at,
                "is_compressed": file.is_compressed,
                "url": f"{quote(request.path.rstrip('/'))}/{quote(file.name)}{site}",
            }
        ).data
        for file in page.rows
    ]
    return Response({"logs": items, "pagination": make_page_info(query, page, len(files))})


def _answer_content(request: Request, owner: Owner, name: str, query: Mapping[str, Any]) -> HttpResponseBase:
    with _describe():
        if "search" in query:
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
            return Response(_answer_matches(owner.open(name), query))
        if request.accepted_renderer.format == "json":
            return _follow(request, owner, name, query)
        return _answer_text(request, owner.open(name), query)


def _answer_text(request: Request, log: Log, query: Mapping[str, Any]) -> HttpResponseBase:
    """Answer the log as text, or the part that the query names."""
    try:
        part = None
        if "offset" in query or "limit" in query:
            start, size = _find_start(query, log.size), log.size
            part = range(min(start, size), min(size, start + query.get("limit", size)))
        return answer_text(request._request, log, is_download=query["download"], part=part)
    except Unsatisfiable as error:
        request.accepted_renderer, request.accepted_media_type = ProblemRenderer(), ProblemRenderer.media_type
        body = make_problem(416, "range-not-satisfiable", str(error))
        return Response(body, status=416, headers={"Content-Range": f"bytes */{error.size}"})


def _answer_matches(log: Log, query: Mapping[str, Any]) -> dict[str, Any]:
    found = log.search(
        query["search"],
        offset=_find_start(query, log.size),
        line=query["line"],
        limit=query["most_matches"],
        ignore_case=query["ignore_case"],
    )
    return {"name": log.name, "file": log.identity, "size": log.size, **asdict(found)}


def _follow(request: Request, owner: Owner, name: str, query: Mapping[str, Any]) -> Response:
    """Answer a part of a log as LogPart describes it, within the wait that the client prefers.

    The log is opened at each look, so that another file that takes its place is noticed.
    """
    part: dict[str, Any] = {}

    def has_news() -> bool:
        log = owner.open(name)
        part.update(_read_part(log, query, is_ended=owner.has_ended(log)))
        return bool(part["text"] or part["is_reset"] or part["is_over"])

    seconds = read_wait(request.headers.get("Prefer", ""))
    has_waited = wait_until(request, has_news, seconds or 0, longest_pause=LOOK_EVERY_SECONDS)
    return Response(part, headers=None if seconds is None else make_headers(seconds, has_waited=has_waited))


def _read_part(log: Log, query: Mapping[str, Any], *, is_ended: bool) -> dict[str, Any]:
    size = log.size
    start = _find_start(query, size)
    is_reset = start > size or query.get("file", log.identity) != log.identity
    start = 0 if is_reset else start
    data, is_from_end = log.read(start, query.get("limit", PIECE_BYTES)), query.get("offset", 0) < 0
    part = describe_part(data, start, size, is_from_end=is_from_end, is_ended=is_ended)
    return {"name": log.name, "file": log.identity, "is_reset": is_reset, **part}


def _find_start(query: Mapping[str, Any], size: int) -> int:
    """Return the first byte; a negative offset counts from the end."""
    offset: int = query.get("offset", 0)
    return max(0, size + offset) if offset < 0 else offset


@contextmanager
def _describe() -> Iterator[None]:
    """Answer 404 with the reason for a log that is not there or cannot be read."""
    try:
        yield
    except NoSuchLog as error:
        raise NotFound(str(error)) from error
