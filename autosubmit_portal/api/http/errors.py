"""Every error of the API as problem details (RFC 9457), from whatever was raised."""

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.urls import reverse
from rest_framework.exceptions import APIException, NotAuthenticated, ParseError, ValidationError
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from autosubmit_portal.access.api_tokens import TokenRefused, WrongToken
from autosubmit_portal.access.rights.delegations import AlreadyOver, Unacceptable
from autosubmit_portal.access.rights.policy import Forbidden
from experiments.actions.refusals import Conflict, InvalidParameters, KeyReused, NotASecondPerson
from experiments.actions.validation import group_by_field
from experiments.autosubmit.store import BrokenStore
from experiments.commands import Unseen
from experiments.configurations import MissingConfiguration, UnreadableConfiguration
from jobs.autosubmit.history import UnreadableHistory
from jobs.autosubmit.user_metrics import UnreadableMetrics

logger = logging.getLogger(__name__)

# Types are names, not addresses: they identify a kind of problem and are never looked up.
TYPE_PREFIX = "urn:autosubmit-portal:"
DATABASE_UNAVAILABLE = (
    "The database cannot be reached or is too busy. Ask again in a moment; that is safe with an Idempotency-Key."
)
SIGN_IN = "Sign in to the console, or send the header `Authorization: Bearer <token>`."


class AmbiguousExpid(Exception):
    """Several sites have the expid, and the address names none of them; `sites` are their slugs."""

    def __init__(self, expid: str, sites: list[str]) -> None:
        super().__init__(f"{expid} exists at several sites: {', '.join(sites)}. Choose one with ?site=.")
        self.sites = sites


# What is raised about a thing that is not there, or that the person may not see.
UNSEEN = (APIException, Forbidden, AmbiguousExpid)


class NeverRead(Exception):
    """The files of an experiment could never be read, so that there is nothing to show; the text says why."""


class ProblemRenderer(JSONRenderer):
    """Problem details."""

    media_type = "application/problem+json"
    format = "problem"


def answer_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to `error`; None for one that nobody foresaw, which becomes a 500."""
    response = exception_handler(error, context)
    problem = describe_error(error)
    if not problem:
        return None
    request = context["request"]
    if not isinstance(getattr(request, "accepted_renderer", None), BrowsableAPIRenderer):
        request.accepted_renderer, request.accepted_media_type = ProblemRenderer(), ProblemRenderer.media_type
    headers = {name: value for name, value in response.items() if name != "Content-Type"} if response else {}
    return Response(problem, status=problem["status"], headers=headers)


def describe_error(error: Exception) -> dict[str, Any] | None:
    """Return the body of the answer to `error`; None for one that nobody foresaw."""
    response = exception_handler(error, {})
    return (
        _describe_denial(error)
        or _describe_refusal(error)
        or _describe_unread(error)
        or _describe_limit(error)
        or (_describe_http_error(error, response) if response else None)
    )


def describe_unforeseen(error: Exception) -> dict[str, Any]:
    """Return the body for one part of a request that failed unexpectedly, while others were answered."""
    logger.error("A part of a request failed", exc_info=error)
    return make_problem(500, "internal-server-error", "This failed; the log of the portal says why.")


def make_problem(status: int, kind: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return the body of an answer; `members` are what only this kind of problem says."""
    return {
        "type": TYPE_PREFIX + kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
        # The clients of Autosubmit API look for these two keys in every answer.
        "error": True,
        "error_message": detail,
    }


def _describe_refusal(error: Exception) -> dict[str, Any] | None:
    if isinstance(error, ValidationError):
        error = InvalidParameters(group_by_field(error.detail))
    match error:
        case InvalidParameters() | WrongToken() | Unacceptable():
            return make_problem(400, "invalid-parameters", str(error), errors=error.errors)
        case AmbiguousExpid():
            return make_problem(409, "ambiguous-expid", str(error), sites=error.sites)
        case Conflict():
            return make_problem(409, "conflict", str(error), **_name_action(error.action_id))
        case AlreadyOver():
            return make_problem(409, "conflict", str(error))
        case KeyReused():
            return make_problem(422, "idempotency-key-reused", str(error), **_name_action(error.action_id))
    return None


def _describe_denial(error: Exception) -> dict[str, Any] | None:
    """Describe what this person may not do."""
    match error:
        case Forbidden() | TokenRefused():
            return make_problem(403, "forbidden", str(error), **_name_permission(error))
        case NotASecondPerson():
            return make_problem(403, "second-person-needed", str(error))
    return None


def _describe_unread(error: Exception) -> dict[str, Any] | None:
    """Describe what an experiment does not have, or has broken; the text says what to do."""
    match error:
        case MissingConfiguration():
            return make_problem(404, "no-configuration", str(error))
        case NeverRead():
            return make_problem(409, "unreadable-job-list", str(error))
        case UnreadableConfiguration():
            return make_problem(409, "unreadable-configuration", str(error))
    return None


def _describe_limit(error: Exception) -> dict[str, Any] | None:
    """Describe a limit that was exceeded, or a database or store that does not answer."""
    match error:
        case RequestDataTooBig():
            longest = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return make_problem(
                413, "body-too-long", f"The body is longer than {longest:,} bytes. Use a filter instead."
            )
        case TooManyFieldsSent():
            most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
            return make_problem(400, "too-many-fields", f"There are more than {most:,} parameters.")
        case OperationalError() | InterfaceError():
            logger.error("The database failed", exc_info=error)
            return make_problem(503, "database-unavailable", DATABASE_UNAVAILABLE)
        case BrokenStore() | UnreadableHistory() | UnreadableMetrics():
            return make_problem(503, "store-unreadable", str(error))
        case Unseen():
            return make_problem(503, "host-unseen", str(error))
    return None


def _name_permission(error: Exception) -> dict[str, Any]:
    return {"permission": error.permission} if isinstance(error, Forbidden) and error.permission else {}


def _name_action(action_id: int | None) -> dict[str, Any]:
    return {"action_id": action_id, "action": reverse("action-detail", args=[action_id])} if action_id else {}


def _describe_http_error(error: Exception, response: Response) -> dict[str, Any]:
    """Describe what DRF and Django raise themselves."""
    detail = str(response.data["detail"])
    if isinstance(error, NotAuthenticated):
        detail = SIGN_IN
    kind = HTTPStatus(response.status_code).phrase.lower().replace(" ", "-")
    if isinstance(error, ParseError):
        kind = "malformed-body"
    code = error.default_code if isinstance(error, APIException) else ""
    return make_problem(response.status_code, code.replace("_", "-") if code == "throttled" else kind, detail)
