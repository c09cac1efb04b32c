"""Problem details for programs at addresses outside of the API, where people get pages."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.urls import reverse
from django.views.defaults import bad_request as html_bad_request
from django.views.defaults import server_error as html_server_error

from autosubmit_portal.api.http.errors import ProblemRenderer, make_problem

OF_THE_API = ("v4", "healthz", "metrics")
# Of the console, and in JSON: what its own scripts ask for.
IN_JSON = ("/autocomplete/",)


class ErrorAnswersMiddleware:
    """Answers 404 as problem details to a client that asks for JSON outside of the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve the request, or say where the API is."""
        if is_of_the_api(request) or request.path_info in IN_JSON or not is_asking_for_json(request):
            return self.get_response(request)
        index = reverse("index-list")
        detail = f"There is nothing for programs at {request.path}. The API begins at {index}, which shows where to go."
        return answer_problem(404, "not-found", detail)


def is_of_the_api(request: HttpRequest) -> bool:
    """Return whether the address is below /v4, whether such a route exists or not."""
    return request.path_info[1:].partition("/")[0] in OF_THE_API


def is_asking_for_json(request: HttpRequest) -> bool:
    """Return whether `Accept` names JSON and no page."""
    named = {f"{accepted.main_type}/{accepted.sub_type}" for accepted in request.accepted_types}
    has_json = any(name == "application/json" or name.endswith("+json") for name in named)
    return has_json and not named & {"text/html", "application/xhtml+xml"}


def answer_problem(status: int, kind: str, detail: str) -> HttpResponse:
    """Return problem details outside of DRF."""
    return JsonResponse(make_problem(status, kind, detail), status=status, content_type=ProblemRenderer.media_type)


def answer_bad_request(request: HttpRequest, exception: Exception, *args: Any) -> HttpResponseBase:
    """Answer a 400 that Django itself raises, such as of an unknown host: problem details to programs."""
    if is_of_the_api(request) or is_asking_for_json(request):
        return answer_problem(400, "bad-request", "The portal cannot read this request.")
    return html_bad_request(request, exception)


def answer_server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer a 500: problem details to programs, Django's page to everybody else."""
    if not is_of_the_api(request) and not is_asking_for_json(request):
        return html_server_error(request)
    detail = "The portal failed to answer; its log says why. The request may have had an effect."
    return answer_problem(500, "internal-error", detail)
