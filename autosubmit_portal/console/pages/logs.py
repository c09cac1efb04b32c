"""The logs on the pages of experiments and jobs: a list, and one that is open, to read, to follow and to search."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.urls import URLPattern

from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts import output
from autosubmit_portal.console.parts.base import ConsoleAdmin, whole_number
from experiments.autosubmit.store import BrokenStore
from experiments.logs import is_over, logs_of
from experiments.models import Experiment
from jobs.autosubmit.logs.reader import Log, NoSuchLog, Part, Shelf
from jobs.autosubmit.logs.search import MAX_TEXT, search
from jobs.models import Job

MOST_FILES = 100
BROKEN = (OSError, NoSuchLog, BrokenStore)


class LogPages(ConsoleAdmin):
    """Gives the page of a row its logs. `?log=` names the one that is open."""

    def get_urls(self) -> list[URLPattern]:
        """Add what answers the content of a log."""
        return [self.row_url("log", self.log_view, "<str:name>/"), *super().get_urls()]

    def owner(self, obj: Any) -> tuple[Experiment, Job | None]:
        """Return the experiment, and the job if the logs are those of a job."""
        raise NotImplementedError

    def log_view(self, request: HttpRequest, object_id: int, name: str) -> HttpResponseBase:
        """Answer a piece of a log, what `?search=` finds in it, or all of it with `?download`."""
        owner = self.owner(self.seen_object(request, str(object_id)))
        try:
            with ExitStack() as stack:
                log = stack.enter_context(logs_of(*owner).open(name))
                if "download" in request.GET:
                    part = Part(log, 0, log.size)
                    stack.pop_all()  # the answer closes it
                    return output.download(part, log.plain_name)
                if "search" in request.GET:
                    return found(request, log)
                stamps.begin(request, _rows(*owner), lambda: _state(owner, name))
                owner = self.owner(self.seen_object(request, str(object_id)))  # as it is after the stamp
                over = is_over(log, *owner)
                return output.answer(request, reader(log), is_over=over, file=log.identity)
        except BROKEN as error:
            raise Http404(f"The log cannot be read: {reason(error)}") from error

    def logs_context(self, request: HttpRequest, obj: Any, default: str = "") -> dict[str, Any]:
        """Return the list of logs, and the one that is open.

        That is the one that `?log=` names, else `default` or, where that cannot be read, the newest output.
        """
        try:
            shelf = logs_of(*self.owner(obj))
        except BrokenStore as error:
            return {"problem": str(error)}
        files = shelf.files()
        newest = next((file.name for file in files if file.kind == "out"), "")
        asked = request.GET.get("log", "")
        names = [asked] if asked else [name for name in dict.fromkeys((default, newest)) if name]
        return {
            "files": [(file, f"?{urlencode({'log': file.name})}#log") for file in files[:MOST_FILES]],
            "left_out": len(files[MOST_FILES:]),
            "opened": self._first_opened(request, obj, shelf, names),
        }

    def _first_opened(
        self, request: HttpRequest, obj: Any, shelf: Shelf, names: Sequence[str]
    ) -> dict[str, Any] | None:
        """Return the first log that can be read; what is wrong with the last one when none can; None of no names."""
        shown = None
        for name in names:
            shown = self._opened(request, obj, shelf, name)
            if "problem" not in shown:
                break
        return shown

    def _opened(self, request: HttpRequest, obj: Any, shelf: Shelf, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"name": name, "title": name}
        try:
            with shelf.open(name) as log:
                shown |= {"address": self.address_of("log", obj.pk, name)}
                shown |= {"names": (name, log.name, log.plain_name), "title": log.name, "file": log.identity}
                if not request.htmx:  # type: ignore[attr-defined]  # a live page keeps what it has
                    shown["piece"] = output.tail(reader(log), is_over=is_over(log, *self.owner(obj)))
        except BROKEN as error:
            shown["problem"] = reason(error)
        return shown


def _rows(experiment: Experiment, job: Job | None) -> "list[QuerySet[Any]]":
    """Return the rows that say whether more is written to a log."""
    return [
        Experiment.objects.filter(pk=experiment.pk),
        Job.objects.filter(pk=job.pk if job else 0),
    ]


def _state(owner: tuple[Experiment, Job | None], name: str) -> tuple[object, ...]:
    """Return what tells that a log has grown or is another one; nothing of one that cannot be read."""
    try:
        with logs_of(*owner).open(name) as log:
            return log.name, log.identity, log.status.st_size, log.status.st_mtime_ns
    except BROKEN:
        return ()


def reader(log: Log) -> output.Read:
    """Return what reads an open log."""
    return lambda offset, limit: (log.read(offset, limit), log.size)


def found(request: HttpRequest, log: Log) -> JsonResponse:
    """Answer where the text is; `?offset=` and `?line=` say where to begin."""
    offset, line = (whole_number(request.GET.get(name)) for name in ("offset", "line"))
    text = request.GET["search"][:MAX_TEXT]
    if not text:
        raise Http404("There is nothing to look for.")
    result = search(log, text, offset=offset or 0, line=line or 1, ignore_case="ignore_case" in request.GET)
    return JsonResponse(asdict(result) | {"size": log.size})


def reason(error: Exception) -> str:
    """Return why a log cannot be read, as a sentence."""
    return f"{error.strerror}." if isinstance(error, OSError) and error.strerror else str(error)
