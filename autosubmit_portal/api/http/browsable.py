"""The pages of the API: what a request answers, what one may send from here, and where one may go."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlencode

from django.http import QueryDict
from django.urls import resolve
from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.views import APIView

from autosubmit_portal.access.rights import policy
from autosubmit_portal.api.forms import Form, inputs_of, is_typed
from autosubmit_portal.api.http.errors import AmbiguousExpid

CHANGES = ("POST", "PATCH", "DELETE")
# To whom nothing is shown, nothing is offered.
HIDDEN = (401, 403, 404)


class PageRenderer(BrowsableAPIRenderer):
    """Answers as pages: with a form for whatever the person may do here, and links to what belongs to it."""

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Any
    ) -> dict[str, Any]:
        """Add forms, filters and links; leave out the style for code, which would stand in the page itself."""
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        view, request = renderer_context["view"], renderer_context["request"]
        forms, links = _offered(view, data, renderer_context["response"].status_code)
        return context | {
            "code_style": "",
            "available_formats": [renderer.format for renderer in view.get_renderers()],
            "extra_actions": None,
            "forms": forms,
            "filters_title": "Parameters" if getattr(view, "detail", True) else "Filters",
            "filters": list(_filters(view, request)),
            "links": links,
        }

    def get_breadcrumbs(self, request: Any) -> list[tuple[str, str]]:
        """Name each route once, as it answers with and without the slash; a single thing by its own name."""
        crumbs: list[tuple[str, str]] = super().get_breadcrumbs(request)
        addresses = [(name, url if url == request.path else url.rstrip("/")) for name, url in crumbs]
        return [(_own_name(url) or name, url) for name, url in addresses]

    def show_form_for_method(self, view: APIView, method: str, request: Any, obj: Any) -> bool:
        """Show none of DRF's own: it knows one body for each method."""
        return False


def _own_name(url: str) -> str:
    """Return the name of the one thing that an address shows; blank for a list and for what is about a thing."""
    known = getattr(resolve(url).func, "initkwargs", {})
    return unquote(url.rstrip("/").rpartition("/")[2]) if known.get("detail") and "name" not in known else ""


def _offered(view: Any, data: Any, status: int) -> tuple[list[Form], dict[str, str]]:
    """Return the forms and links of a page; none where there is nothing, or nothing that the person may see."""
    if status in HIDDEN or status >= HTTPStatus.INTERNAL_SERVER_ERROR or not hasattr(view, "may"):
        return [], {}
    try:
        return list(_forms(view, data)), view.links(data)
    except (policy.Forbidden, APIException, AmbiguousExpid):
        return [], {}


def _forms(view: Any, data: Any) -> Iterator[Form]:
    """Yield a form for each body that the person may send to this address, or to one below it."""
    for method in CHANGES:
        if method in view.allowed_methods:
            yield from _forms_of(view, data, method, getattr(view, method.lower()), "")
    for action in view.get_extra_actions():
        if action.detail == view.detail and "post" in action.mapping and view.action_map.get("get"):
            yield from _forms_of(view, data, "POST", action, f"/{action.url_path}")


def _forms_of(view: Any, data: Any, method: str, handler: Any, below: str) -> Iterator[Form]:
    described, request = handler.described, view.request
    for name, shape in (described.bodies or {"": None}).items():
        if not view.may(handler.__name__, name):
            continue
        query = described.query_for(name) | _site(request)
        url = request.path.rstrip("/") + below + (f"?{urlencode(query)}" if query else "")
        said = _said(request, method, query)
        errors = data.get("errors", {}) if said and isinstance(data, dict) else {}
        yield Form(
            id="-".join(filter(None, (handler.__name__, name))),
            title=described.titles.get(name, described.summary),
            help=(shape.__doc__ or "").partition("\n")[0] if name and shape else "",
            method=method,
            url=url,
            inputs=tuple(inputs_of(shape, said, errors)) if shape and is_typed(shape) else (),
            raw=json.dumps(described.examples.get(name, {}), indent=2, ensure_ascii=False) if shape else "",
            is_open=bool(said),
        )


def _site(request: Any) -> dict[str, str]:
    site = request.query_params.get("site")
    return {"site": site} if site else {}


def _said(request: Any, method: str, query: dict[str, str]) -> dict[str, Any]:
    """Return what this form has just said: it is shown again, with what is wrong with it."""
    if request.method != method or not isinstance(getattr(request, "_full_data", None), QueryDict):
        return {}
    is_same = all(request.query_params.get(name) == value for name, value in query.items())
    return dict(request.data.items()) if is_same else {}


def _filters(view: Any, request: Any) -> Iterator[Any]:
    described = getattr(getattr(view, "get", None), "described", None)
    if described and described.query:
        yield from inputs_of(described.query, request.query_params, {})
