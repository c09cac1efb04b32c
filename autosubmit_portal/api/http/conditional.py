"""Conditional requests: validators (ETag), and 304 instead of an answer that the client has already.

Validators are weak: they mean the same content, however it is compressed. There are two kinds:

- The jobs, dependencies and runs of an experiment change only together with its row, so the row alone tells whether
  the client has them: ten thousand jobs need not be read. `RevalidatedViewSet.revalidate` does that. What is read from
  one database of the store changes only together with that file (`revalidate_file`).
- Every other answer is small and depends on more than one row. It is made, and its digest is compared.

Each process keeps its latest answers of the first kind: a list that many people watch is made once.

A 304 or a kept answer is given only after the same checks of permissions as the answer itself.
"""

from hashlib import blake2b
from threading import Lock
from typing import Any

from cachetools import LRUCache
from django.http import HttpResponse, HttpResponseNotModified
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal import __version__
from autosubmit_portal.api.http.viewsets import PortalViewSet
from experiments.models import Experiment
from experiments.reads import Missing, Unreadable, read

VARY = ("Authorization", "Cookie", "Accept")
# The mirror writes jobs, dependencies and runs in one transaction with these columns of their experiment.
MARKS = (
    *("id", "refreshed_at", "changed_at", "fingerprint", "status_counts", "total_jobs"),
    *("problem", "problem_since", "run_host_id"),
)


MOST_BYTES_KEPT = 32 * 1024 * 1024  # in each web process


class Answered(Exception):
    """Nothing has to be read: the `response` is a 304 or a kept answer."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.response = response


class _KeptAnswers:
    """The latest answers of this process, at most MOST_BYTES_KEPT."""

    def __init__(self) -> None:
        self._kept: LRUCache[tuple[str, ...], bytes] = LRUCache(MOST_BYTES_KEPT, getsizeof=len)
        self._lock = Lock()

    def get(self, key: tuple[str, ...]) -> bytes | None:
        """Return a kept answer."""
        with self._lock:
            return self._kept.get(key)

    def keep(self, key: tuple[str, ...], content: bytes) -> None:
        """Keep an answer, unless it is so large that it would replace all others."""
        if len(content) <= MOST_BYTES_KEPT // 4:
            with self._lock:
                self._kept[key] = content


kept_answers = _KeptAnswers()
"""Those of this process."""


class RevalidatedViewSet(PortalViewSet):
    """A resource whose JSON answers to GET have a validator; one object serves one request."""

    validator = ""

    def revalidate(self, request: Request, experiment: Experiment) -> None:
        """Name the state of what is mirrored of an experiment, for an answer that shows nothing else.

        Raises Answered if the client has the answer of that state, or this process has it.

        Call it with a row that was read before anything that the answer shows: the answer may be newer than its
        validator, never older.
        """
        self._revalidate(request, [getattr(experiment, mark) for mark in MARKS])

    def revalidate_file(self, request: Request, experiment: Experiment, of: str) -> None:
        """Name the state of a database in the store of an experiment as `revalidate` does; raises as it does.

        `of` names the database for the agent. Without a state that can be told the answer is made and compared.
        """
        try:
            state = read(experiment, "state", {"of": of})[0].get("state")
        except (Missing, Unreadable):  # what is read says why
            state = None
        if state:
            self._revalidate(request, [experiment.pk, state])

    def _revalidate(self, request: Request, state: list[Any]) -> None:
        if request.accepted_renderer.format != "json":
            return
        self.validator = _make_validator(repr([__version__, request.get_full_path(), *state]).encode())
        if _is_known(request, self.validator):
            raise Answered(HttpResponseNotModified())
        content = kept_answers.get(self._make_key(request))
        if content is not None:
            raise Answered(HttpResponse(content, content_type="application/json"))

    def _make_key(self, request: Request) -> tuple[str, ...]:
        """Return what an answer depends on besides its path and the state: the addresses in it, and its form."""
        return self.validator, request.build_absolute_uri("/"), request.accepted_media_type or ""

    def handle_exception(self, exc: Exception) -> Any:
        """Give the response of Answered."""
        return exc.response if isinstance(exc, Answered) else super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the validator and the headers of caching."""
        response = super().finalize_response(request, response, *args, **kwargs)
        is_read = request.method in ("GET", "HEAD") and response.status_code in (200, 304)
        if not is_read or request.accepted_renderer.format != "json":
            return response
        patch_vary_headers(response, VARY)
        if self.validator:
            response["ETag"] = self.validator
            if isinstance(response, Response) and response.status_code == 200:
                key = self._make_key(request)
                response.add_post_render_callback(lambda rendered: kept_answers.keep(key, rendered.content))
        else:
            response.add_post_render_callback(lambda rendered: _compare(request, rendered))
        return response


def _compare(request: Request, response: Response) -> Any:
    """Return the rendered answer with its validator, or a 304 if the client has it."""
    response["ETag"] = _make_validator(response.content)
    if not _is_known(request, response["ETag"]):
        return response
    headers = {name: response[name] for name in ("ETag", "Vary")}
    return HttpResponseNotModified(headers=headers)


def _make_validator(state: bytes) -> str:
    return f'W/"{blake2b(state, digest_size=16).hexdigest()}"'


def _is_known(request: Request, validator: str) -> bool:
    """Return whether `If-None-Match` names the validator, which it compares weakly."""
    found = get_conditional_response(request._request, etag=validator)
    return found is not None and found.status_code == 304
