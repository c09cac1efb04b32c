"""Limit long answers: a thread makes each part of one when the client has read the parts before."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from autosubmit_portal.api.http.errors import ProblemRenderer, make_problem
from autosubmit_portal.audit.origin import get_client_address
from autosubmit_portal.waits import AGAIN_SECONDS, streams

# As much of an answer the web server takes at once, whether its client reads or not; then the thread is free.
SHORT_BYTES = 8 * 1024 * 1024
BUSY = "Too many long answers are being read. Ask again in some seconds, or for a part of it."


class StreamsMiddleware:
    """Refuses a long answer when all places for them are taken."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request; the place is free again when the answer is closed."""
        response = self.get_response(request)
        if not isinstance(response, StreamingHttpResponse) or _is_short(response):
            return response
        account = request.user.pk or get_client_address(request)
        if not streams.take(account):
            response.close()
            return _answer_busy()
        response._resource_closers.append(lambda: streams.give_back(account))  # type: ignore[attr-defined]
        return response


def _is_short(response: HttpResponseBase) -> bool:
    return int(response.get("Content-Length", str(SHORT_BYTES + 1))) <= SHORT_BYTES


def _answer_busy() -> HttpResponseBase:
    content = ProblemRenderer().render(make_problem(503, "busy", BUSY))
    headers = {"Retry-After": str(AGAIN_SECONDS), "Cache-Control": "no-store"}
    return HttpResponse(content, status=503, content_type=ProblemRenderer.media_type, headers=headers)
