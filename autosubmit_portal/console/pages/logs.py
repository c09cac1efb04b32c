"""The logs on the pages of experiments and jobs: a list, and an open log to read, follow and search."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.urls import URLPattern
from django.utils.translation import gettext

from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts import output
from autosubmit_portal.console.parts.base import ConsoleAdmin, parse_number
from autosubmit_portal.console.parts.presentation import translate
from experiments.autosubmit.store import BrokenStore
from experiments.logs import Log, Logs, is_log_over
from experiments.models import Experiment
from experiments.reads import Missing, Unreadable
from jobs.autosubmit.logs.reader import NoSuchLog
from jobs.autosubmit.logs.search import MAX_TEXT
from jobs.models import Job

MOST_FILES = 100
MOST_MATCHES = 100
BROKEN = (NoSuchLog, BrokenStore)


class LogPages(ConsoleAdmin):
    """Gives the page of a row its logs. `?log=` names the one that is open."""

    def get_urls(self) -> list[URLPattern]:
        """Add what answers the content of a log."""
        return [self.make_row_url("log", self.log_view, "<str:name>/"), *super().get_urls()]

    def get_log_owner(self, obj: Any) -> tuple[Experiment, Job | None]:
        """Return the experiment, and the job if the logs are those of a job."""
        raise NotImplementedError

    def log_view(self, request: HttpRequest, object_id: int | str, name: str) -> HttpResponseBase:
        """Answer a piece of a log, what `?search=` finds in it, or all of it with `?download`."""
        owner = self.get_log_owner(self.get_visible_object(request, str(object_id)))
        try:
            log = Logs(*owner).open(name)
            if "download" in request.GET:
                return output.answer_download(log.iterate_blocks(0, log.size), log.plain_name)
            if "search" in request.GET:
                return answer_search(request, log)
            stamps.begin_part(request, _list_live_rows(*owner), lambda: _read_state(owner, name))
            owner = self.get_log_owner(self.get_visible_object(request, str(object_id)))  # as it is after the stamp
            over = is_log_over(log, *owner)
            return output.answer_piece(request, make_reader(log), is_over=over, file=log.identity)
        except BROKEN as error:
            raise Http404(translate(error)) from error

    def get_logs_context(self, request: HttpRequest, obj: Any, default: str = "") -> dict[str, Any]:
        """Return the list of logs, and the one that is open.

        That is the one that `?log=` names, else `default` or, where that is empty or cannot be read, the newest output
        or errors.
        """
        shelf = Logs(*self.get_log_owner(obj))
        try:
            files = shelf.list_files()
        except (BrokenStore, Missing, Unreadable) as error:
            return {"problem": translate(error)}
        newest = [next((file.name for file in files if file.kind == kind), "") for kind in ("out", "err")]
        asked = request.GET.get("log", "")
        names = [asked] if asked else [name for name in dict.fromkeys((default, *newest)) if name]
        return {
            "files": [(file, f"?{urlencode({'log': file.name})}#log") for file in files[:MOST_FILES]],
            "left_out": len(files[MOST_FILES:]),
            "opened": self._open_first(request, obj, shelf, names),
        }

    def _open_first(self, request: HttpRequest, obj: Any, shelf: Logs, names: Sequence[str]) -> dict[str, Any] | None:
        """Return the first log that holds something, else the first empty one, else the error of the last.

        None without names.
        """
        shown = empty = None
        for name in names:
            shown = self._open_log(request, obj, shelf, name)
            if shown.get("size"):
                return shown
            empty = empty or (None if "problem" in shown else shown)
        return empty or shown

    def _open_log(self, request: HttpRequest, obj: Any, shelf: Logs, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": name, "title": name}
        try:
            log = shelf.open(name)
            shown |= {"address": self.get_address("log", self.get_key(obj), name)}
            shown |= {"names": (name, log.name, log.plain_name), "title": log.name, "file": log.identity}
            shown |= {"size": log.size}
            if not request.htmx:  # type: ignore[attr-defined]  # a live page keeps what it has
                over = is_log_over(log, *self.get_log_owner(obj))
                shown["piece"] = output.read_tail(make_reader(log), is_over=over)
        except BROKEN as error:
            shown["problem"] = translate(error)
        return shown


def _list_live_rows(experiment: Experiment, job: Job | None) -> "list[QuerySet[Any]]":
    """Return the rows that say whether more is written to a log."""
    return [Experiment.objects.filter(pk=experiment.pk), Job.objects.filter(pk=job.pk if job else 0)]


def _read_state(owner: tuple[Experiment, Job | None], name: str) -> tuple[object, ...]:
    """Return a state that changes when a log grows or is replaced; empty if it cannot be read."""
    try:
        log = Logs(*owner).open(name)
        return log.name, log.identity, log.stored_size, log.modified_ns
    except BROKEN:
        return ()


def make_reader(log: Log) -> output.Read:
    """Return a function that reads an open log."""
    return lambda offset, limit: (log.read(offset, limit) if limit else b"", log.size)


def answer_search(request: HttpRequest, log: Log) -> JsonResponse:
    """Answer where the text was found; `?offset=` and `?line=` say where to begin."""
    offset, line = (parse_number(request.GET.get(name)) for name in ("offset", "line"))
    text = request.GET["search"][:MAX_TEXT]
    if not text:
        raise Http404(gettext("There is nothing to look for."))
    ignore_case = "ignore_case" in request.GET
    result = log.search(text, offset=offset or 0, line=line or 1, limit=MOST_MATCHES, ignore_case=ignore_case)
    return JsonResponse(asdict(result) | {"size": log.size})
