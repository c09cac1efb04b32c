"""The router of the API: the address and method of each viewset's methods, with and without a slash at the end."""

from django.urls import URLPattern, URLResolver, path, register_converter
from django.urls.converters import StringConverter
from rest_framework.routers import DynamicRoute, Route, SimpleRouter


class NameConverter(StringConverter):
    """The name of an experiment, a job or a site: a part of an address without NUL, which databases refuse."""

    regex = r"[^/\x00]+"


class JobConverter(StringConverter):
    """The name of a job, in which Autosubmit accepts slashes. Servers decode `%2F`, so that it arrives as one."""

    regex = r"[^/\x00]+(?:/[^/\x00]+)*"


register_converter(NameConverter, "name")
register_converter(JobConverter, "job")


class PortalRouter(SimpleRouter):
    """DRF's router with what the routes of Autosubmit API want.

    A list takes PATCH (many jobs at once), one thing takes POST (`?action=`), and the slash at the end may be missing.
    """

    routes = [
        Route(
            "{prefix}",
            {"get": "list", "post": "create", "patch": "partial_bulk_update"},
            "{basename}-list",
            detail=False,
            initkwargs={},
        ),
        DynamicRoute("{prefix}/{url_path}", "{basename}-{url_name}", detail=False, initkwargs={}),
        DynamicRoute("{prefix}/{lookup}/{url_path}", "{basename}-{url_name}", detail=True, initkwargs={}),
        Route(
            "{prefix}/{lookup}",
            {"get": "retrieve", "post": "act", "patch": "partial_update", "delete": "destroy"},
            "{basename}-detail",
            detail=True,
            initkwargs={},
        ),
    ]

    def __init__(self) -> None:
        super().__init__(trailing_slash=False, use_regex_path=False)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return the addresses, then all again with a slash at the end; neither redirects.

        The name of a job may hold slashes and would take what stands behind it for a part of itself: an address that
        ends in a fixed word is tried before one that ends in a name.
        """
        urls = sorted(super().get_urls(), key=lambda url: str(url.pattern).endswith(">"))
        views = [url for url in urls if isinstance(url, URLPattern)]
        return [*urls, *(path(f"{url.pattern}/", url.callback) for url in views)]
