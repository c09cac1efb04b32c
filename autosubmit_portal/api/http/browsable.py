"""The pages of the API: the answer, forms for what the person may send, and links."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlencode

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.urls import ResolverMatch, get_script_prefix, resolve
from django.utils.encoding import escape_uri_path
from django.utils.html import escape, urlize
from django.utils.safestring import SafeString, mark_safe
from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from autosubmit_portal.api.forms import Form, Input, list_inputs, mark_code
from autosubmit_portal.api.http.errors import UNSEEN
from experiments.actions.refusals import Refusal
from experiments.actions.validation import Shape

CHANGES = ("POST", "PATCH", "DELETE")
# To whom nothing is shown, nothing is offered.
HIDDEN = (401, 403, 404)
# The rest of a longer answer is left out of its page: ten thousand jobs are 140,000 lines.
MOST_LINES = 3000
OWN_ADDRESS = re.compile(rf"(?<=&quot;){re.escape(settings.PORTAL_PATH)}v4/[^\s<>]+?(?=&quot;)")


class PageRenderer(BrowsableAPIRenderer):
    """Answers as pages: with a form for whatever the person may do here, and links to what belongs to it."""

    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Any) -> dict[str, Any]:
        """Add forms, filters, links and pages."""
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        view, request = renderer_context["view"], renderer_context["request"]
        forms, links = _list_offers(view, data, renderer_context["response"].status_code)
        lines = context["content"].split("\n")
        filters = list(_list_filters(view, request))
        page = _address(request, request.path)
        # What was sent may stand in the address, and GET would not know it.
        address = request.get_full_path() if request.method == "GET" else page
        formats = [renderer.format for renderer in view.get_renderers()]
        return context | {
            "content": _add_links("\n".join(lines[:MOST_LINES]), view, data),
            "lines_left_out": max(0, len(lines) - MOST_LINES),
            "page": page,
            "address": address,
            "formats": {name: replace_query_param(address, "format", name) for name in formats},
            "forms": forms,
            "is_sent": any(form.is_sent for form in forms),  # what it answers comes first then
            "links": links,
            "pager": {} if getattr(view, "detail", True) else _list_pages(data),
            "filters_title": "Parameters" if getattr(view, "detail", True) else "Filters",
            "filters": filters,
            "is_paged": any(field.name == "page_size" for field in filters),
        }

    def get_description(self, view: APIView, status_code: int) -> str:
        """Return what the view does, with its names set as code."""
        return mark_code(super().get_description(view, status_code))

    def get_breadcrumbs(self, request: Any) -> list[tuple[str, str]]:
        """Name each page once, as it answers with and without the slash; a single thing by its own name."""
        crumbs: list[tuple[str, str]] = super().get_breadcrumbs(request)
        addresses = [(name, url if url == request.path else url.rstrip("/")) for name, url in crumbs]
        return [
            (_get_own_name(url) or name, _address(request, url))
            for name, url in addresses
            if url == request.path or hasattr(_resolve(url).func, "actions")
        ]

    def show_form_for_method(self, view: APIView, method: str, request: Any, obj: Any) -> bool:
        """Show none of DRF's own: it knows one body for each method."""
        return False


def _resolve(address: str) -> ResolverMatch:
    """Return the view of an address; Django itself adds the path of the portal, but does not take it off."""
    return resolve("/" + address.removeprefix(get_script_prefix()).lstrip("/"))


def _get_own_name(url: str) -> str:
    """Return the name of the object at an address; blank for lists and for addresses below an object."""
    known = getattr(_resolve(url).func, "initkwargs", {})
    return unquote(url.rstrip("/").rpartition("/")[2]) if known.get("detail") and "name" not in known else ""


def _address(request: Any, path: str) -> str:
    """Return the address of a page; of what belongs to an experiment, at the site that this page names."""
    query = urlencode(_get_site(request) if "expid" in _resolve(path).kwargs else {})
    return escape_uri_path(path) + (f"?{query}" if query else "")


def _add_links(text: str, view: Any, data: Any) -> SafeString:
    """Return an answer as HTML, in which addresses and the names of rows and jobs are links."""
    shown = OWN_ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', urlize(text, nofollow=True, autoescape=True))
    if hasattr(view, "list_row_links"):
        key, addresses = view.list_row_links(data)
        # DRF indents the fields of a row by twelve blanks.
        named = re.compile(rf"(?m)^( {{12}}&quot;{key}&quot;: (?:&quot;)?)(.+?)((?:&quot;)?,?)$")
        shown = named.sub(lambda row: _link(row, next(addresses, "")), _add_links_to_jobs(shown, view, data))
    return mark_safe(shown)  # noqa: S308


def _add_links_to_jobs(shown: str, view: Any, data: Any) -> str:
    """Return the answer with links to the jobs of its experiment that stand in lists, or would change."""
    about = data if isinstance(data, dict) else {}
    expid = view.kwargs.get("expid") or about.get("expid")
    if not expid:
        return shown
    job = re.compile(rf"(?m)^( +(?:&quot;job&quot;: )?&quot;)({re.escape(expid)}_[\w.+-]+)(&quot;,?)$")
    return job.sub(
        lambda line: _link(line, view.get_address("job-detail", {"expid": expid, "job": line[2]}, about.get("site"))),
        shown,
    )


def _link(found: re.Match[str], address: str) -> str:
    return f'{found[1]}<a href="{escape(address)}">{found[2]}</a>{found[3]}'


def _list_offers(view: Any, data: Any, status: int) -> tuple[list[Form], dict[str, str]]:
    """Return the forms and links of a page; none where there is nothing, or nothing that the person may see."""
    if not hasattr(view, "may_offer") or _is_hidden(view, status):
        return [], {}
    try:
        return list(_list_forms(view, data)), view.list_links(data)
    except UNSEEN:
        return [], {}


def _is_hidden(view: Any, status: int) -> bool:
    # What was sent to a list may name a thing that is not there: the form is then shown again.
    is_told = view.request.method in CHANGES and not view.detail and view.request.user.is_authenticated
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or (status in HIDDEN and not is_told)


def _list_pages(data: Any) -> dict[str, str]:
    """Return where the pages before and after are, by title."""
    data = data if isinstance(data, dict) else {}
    found = data.get("pagination") or data
    titles = {"previous": "← Previous", "next": "Next →"}
    return {title: found[name] for name, title in titles.items() if found.get(name)}


def _list_forms(view: Any, data: Any) -> Iterator[Form]:
    """Yield a form for each body that the person may send to this address, or to one below it."""
    for method in CHANGES:
        if method in view.allowed_methods:
            yield from _list_forms_of(view, data, method, getattr(view, method.lower()))
    for action in view.get_extra_actions():
        if action.detail == view.detail and "post" in action.mapping and view.action_map.get("get"):
            yield from _list_forms_of(view, data, "POST", action, f"/{action.url_path}")


def _list_forms_of(view: Any, data: Any, method: str, handler: Any, below: str = "") -> Iterator[Form]:
    described, request = handler.described, view.request
    for name, shape in view.list_bodies(handler).items():
        query = described.get_query(name) | _get_site(request)
        is_sent = _is_sent(request, method, query)
        problem = data if is_sent and view.response.exception else {}
        now = data if method == "PATCH" and view.detail and view.action == "retrieve" else {}
        values = _read_typed(request) if is_sent else now
        typed = _read_typed_json(request) if is_sent else ""
        yield Form(
            id="-".join(filter(None, (handler.__name__, name))),
            title=described.titles.get(name, described.summary),
            help=mark_code(escape((shape.__doc__ or "").partition("\n")[0] if name and shape else "")),
            method=method,
            url=escape_uri_path(request.path.rstrip("/")) + below + (f"?{urlencode(query)}" if query else ""),
            inputs=tuple(list_inputs(shape, values, problem.get("errors", {}), partial(view.may_choose, handler)))
            if shape
            else (),
            raw=(typed or _propose_json(shape, values, described.examples.get(name, {}))) if shape else "",
            is_sent=is_sent,
            is_raw=bool(typed),
            problem=problem.get("detail", ""),
        )


def _propose_json(shape: Shape, values: Mapping[str, Any], example: Mapping[str, Any]) -> str:
    """Return the JSON that a form proposes: an example with the present values, which changes nothing yet."""
    fields = shape().fields
    first = {"reason": "", "dry_run": True} if "dry_run" in fields else {}
    proposed = {name: value for name, value in {**example, **values, **first}.items() if name in fields}
    return json.dumps(proposed, indent=2, ensure_ascii=False)


def _get_site(request: Any) -> dict[str, str]:
    site = request.query_params.get("site")
    return {"site": site} if site else {}


def _is_sent(request: Any, method: str, query: dict[str, str]) -> bool:
    """Return whether this form was sent: it is then shown again with its errors."""
    given = request.query_params
    return request.method == method and all(given.get(name) == value for name, value in query.items())


def _read_typed(request: Any) -> dict[str, Any]:
    """Return the values of a form or a body by field; empty if it cannot be read."""
    try:
        return dict(request.data.items())
    except (APIException, Refusal, AttributeError):
        return {}


def _read_typed_json(request: Any) -> str:
    """Return a body of JSON as it was sent; blank if it was a form."""
    try:
        return request.body.decode(errors="replace") if "json" in (request.content_type or "") else ""
    except RequestDataTooBig:
        return ""


def _list_filters(view: Any, request: Any) -> Iterator[Input]:
    described = getattr(getattr(view, "get", None), "described", None)
    if described and described.query:
        yield from list_inputs(described.query, request.query_params, {})
