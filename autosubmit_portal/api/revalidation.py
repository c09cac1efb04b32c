"""Answers that a client has already: validators (ETag), and 304 in place of an answer that would be the same.

Validators are weak: they mean the same content, however it is compressed. There are two kinds:

- The jobs, dependencies and runs of an experiment change only together with its row, so the row alone tells whether
  the client has them: ten thousand jobs need not be read. `RevalidatedView.revalidate` does that.
- Every other answer is small, and shows what changes by itself (evidence, the active action). It is made and compared.

A 304 is answered only after the checks of permissions that the answer itself would pass.
"""

from hashlib import blake2b
from typing import Any

from django.http import HttpResponseNotModified
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response

from autosubmit_portal import __version__
from autosubmit_portal.api.formats import PortalView
from experiments.models import Experiment

CACHE_CONTROL = "private, no-cache"
VARY = ("Authorization", "Cookie", "Accept")
# The mirror writes jobs, dependencies and runs in one transaction with these columns of their experiment.
MARKS = ("pk", "refreshed_at", "changed_at", "fingerprint", "status_counts", "total_jobs")


class NotModified(Exception):
    """The client has the answer already."""


class RevalidatedView(PortalView):
    """A view whose JSON answers to GET have a validator; one view serves one request."""

    validator = ""

    def revalidate(self, request: Request, experiment: Experiment) -> None:
        """Name the state of what is mirrored of an experiment; raise NotModified if the client has the answer of it.

        Call it with a row that was read before anything that the answer shows: the answer may be newer than its
        validator, never older.
        """
        if request.accepted_renderer.format != "json":
            return
        state = [__version__, request.get_full_path(), *(getattr(experiment, mark) for mark in MARKS)]
        self.validator = _validator(repr(state).encode())
        if _is_known(request, self.validator):
            raise NotModified

    def handle_exception(self, exc: Exception) -> Response:
        """Answer 304 to what is known."""
        if isinstance(exc, NotModified):
            return Response(status=304)
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the headers of an answer that is asked for again."""
        response = super().finalize_response(request, response, *args, **kwargs)
        is_read = request.method in ("GET", "HEAD") and response.status_code in (200, 304)
        if not is_read or request.accepted_renderer.format != "json":
            return response
        response["Cache-Control"] = CACHE_CONTROL
        patch_vary_headers(response, VARY)
        if self.validator:
            response["ETag"] = self.validator
        else:
            response.add_post_render_callback(lambda rendered: _compared(request, rendered))
        return response


def _compared(request: Request, response: Response) -> Any:
    """Return the rendered answer with its validator, or a 304 if the client has it."""
    response["ETag"] = _validator(response.content)
    if not _is_known(request, response["ETag"]):
        return response
    headers = {name: response[name] for name in ("ETag", "Cache-Control", "Vary")}
    return HttpResponseNotModified(headers=headers)


def _validator(state: bytes) -> str:
    return f'W/"{blake2b(state, digest_size=16).hexdigest()}"'


def _is_known(request: Request, validator: str) -> bool:
    """Answer whether `If-None-Match` names the validator, which it compares weakly."""
    known = parse_etags(request.META.get("HTTP_IF_NONE_MATCH", ""))
    return "*" in known or validator.removeprefix("W/") in {tag.removeprefix("W/") for tag in known}
