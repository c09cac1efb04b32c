"""Common to the pages of all models: read-only lists, a page for each row, no counting of big tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext, gettext_lazy

from autosubmit_portal.access.rights import policy
from autosubmit_portal.console import stamps
from autosubmit_portal.console.parts import csv_lists
from autosubmit_portal.console.parts.actions import explain_refusal
from autosubmit_portal.console.text import Text
from experiments.actions.refusals import Refusal

# Counting a table of millions costs more than the page; beyond this a filter serves better than page numbers.
MOST_COUNTED = 10_000
# Databases count to 9,223,372,036,854,775,807.
MOST_DIGITS = 19


def parse_number(text: str | None) -> int | None:
    """Return the number in a part of an address; None for other texts and numbers too large for a key."""
    return int(text) if text and text.isdecimal() and len(text) < MOST_DIGITS else None


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # of the stubs alone
    """Counts no further than MOST_COUNTED rows."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most MOST_COUNTED."""
        return min(self._counted, MOST_COUNTED)

    @cached_property
    def has_more(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._counted > MOST_COUNTED

    @cached_property
    def _counted(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        return rows.order_by().values("pk")[: MOST_COUNTED + 1].count()


class BriefChangeList(ChangeList):
    """A list that does not read what only the pages of its rows show."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows without the long fields."""
        console_admin = cast("ConsoleAdmin", self.model_admin)
        return super().get_queryset(*args, **kwargs).defer(*console_admin.long_fields)

    def get_filters_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what the address says of filters: the format that it asks for is none."""
        found = super().get_filters_params(*args, **kwargs)
        return {name: value for name, value in found.items() if name != csv_lists.FORMAT}

    def url_for_result(self, result: Any) -> str:
        """Return the address of the page of a row."""
        console_admin = cast("ConsoleAdmin", self.model_admin)
        return console_admin.get_address("change", console_admin.get_key(result))

    def get_results(self, request: HttpRequest) -> None:
        """Read the page of the list; a live one is stamped first."""
        if cast("ConsoleAdmin", self.model_admin).live_seconds:
            stamps.begin_part(
                request, [*self._get_live_rows(), *cast("ConsoleAdmin", self.model_admin).get_other_live_rows(request)]
            )
        super().get_results(request)

    def _get_live_rows(self) -> "Iterator[QuerySet[Any] | stamps.RowCount]":
        """Yield the rows of the page, and how many there are; of a list that has one page, that is shown for any."""
        rows = self.queryset.select_related(None)
        size = self.list_max_show_all if self.show_all else self.list_per_page
        page = 1 if self.show_all else max(1, min(self.page_num, MOST_COUNTED))
        for number in {1, page}:
            yield rows[(number - 1) * size : number * size]
        yield stamps.RowCount(rows.order_by().values("pk")[: MOST_COUNTED + 1])


class ConsoleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # of the stubs alone
    """The base of all lists.

    `row_part` is the part of an address that says which row it is about.

    `long_fields` are read for the page of a row, not for the list. `pages` are the pages of Django's admin that there
    are, by the ends of their names; None for all. `refusals` are what a change of a row may be refused with.
    `csv_columns` are fields, or functions of a row, by their headings; a list that has them is offered as CSV.
    """

    row_part = "<int:object_id>"
    long_fields: tuple[str, ...] = ()
    pages: tuple[str, ...] | None = None
    refusals: tuple[type[Exception], ...] = (policy.Forbidden, Refusal)

    csv_columns: Mapping[str, csv_lists.Source] = {}
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    live_seconds = 0
    search_placeholder: Text = gettext_lazy("Search")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with what the template needs to keep it live, or answer it as CSV."""
        if self.csv_columns and request.method == "GET" and request.GET.get(csv_lists.FORMAT) == "csv":
            return cast("HttpResponse", self._answer_csv(request))  # a stream, which Django takes as well
        context = {
            "has_csv": bool(self.csv_columns),
            "live_seconds": self.live_seconds,
            "search_placeholder": self.search_placeholder,
            "title": str(self.opts.verbose_name_plural).capitalize(),
            **self.get_list_context(request),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def _answer_csv(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the rows of the list, on all its pages; what its filters do not understand leads to the list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(request.path)
        if getattr(changelist, "complaints", ()):
            query = request.GET.copy()
            query.pop(csv_lists.FORMAT)
            return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")
        self.record_csv(request)
        name = str(self.opts.verbose_name_plural).replace(" ", "-")
        return csv_lists.answer_csv(changelist.queryset, self.get_csv_columns(request), name, self.complete_rows)

    def get_csv_columns(self, request: HttpRequest) -> Mapping[str, csv_lists.Source]:
        """Return fields by their headings."""
        return self.csv_columns

    def complete_rows(self, rows: list[Any]) -> None:
        """Add to rows of a list what takes another query for all of them; most lists have nothing of the kind."""

    def record_csv(self, request: HttpRequest) -> None:
        """Record that somebody takes the list away; of most lists that is not recorded."""

    def get_list_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the page of the list shows besides the list."""
        return {}

    def get_other_live_rows(self, request: HttpRequest) -> "Sequence[QuerySet[Any]]":
        """Return what a live list shows besides its own rows."""
        return ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the kind of list."""
        return BriefChangeList

    def get_urls(self) -> list[URLPattern]:
        """Leave out pages that this model does not have."""
        urls = super().get_urls()
        if self.pages is None:
            return urls
        kept = tuple(f"_{page}" for page in self.pages if page != "change")
        others = [url for url in urls if (url.name or "").endswith(kept)]
        if "change" not in self.pages:
            return others
        page = self.admin_site.admin_view(self.change_view)
        return [*others, path(f"{self.row_part}/", page, name=self.get_route("change"))]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Allow it to people who may see some rows; `get_queryset` says which."""
        return super().has_view_permission(request, obj) or policy.may_view(request.user, self.model)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the list in the navigation to people who may see it."""
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the user may see."""
        rows = super().get_queryset(request)
        return rows.visible_to(request.user) if hasattr(rows, "visible_to") else rows

    def get_route(self, page: str) -> str:
        """Return the name of the address of a page of this model."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def get_address(self, page: str, *args: Any) -> str:
        """Return the address of a page of this model."""
        return reverse(f"admin:{self.get_route(page)}", args=args)

    def make_row_url(self, page: str, view: Callable[..., HttpResponseBase], rest: str = "") -> URLPattern:
        """Return the address `<row>/<page>/<rest>` for a view that takes `object_id`."""
        return path(f"{self.row_part}/{page}/{rest}", self.admin_site.admin_view(view), name=self.get_route(page))

    def get_key(self, obj: Any) -> Any:
        """Return what the addresses of a row's pages are made of."""
        return obj.pk

    def get_list_address(self, request: HttpRequest) -> str:
        """Return the address of the list, with the filters under which the page was opened from it."""
        kept: dict[str, Any] = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}
        return str(add_preserved_filters(kept, self.get_address("changelist")))

    def change_row(
        self, request: HttpRequest, object_id: int | str, change: Callable[[Any], str]
    ) -> HttpResponseRedirect:
        """Change a visible row, show the message or the refusal of `change`, and redirect to the page of the row."""
        try:
            messages.success(request, change(self.get_visible_object(request, str(object_id))))
        except self.refusals as refusal:
            messages.error(request, explain_refusal(refusal))
        return HttpResponseRedirect(self.get_address("change", object_id))

    def render_page(
        self, request: HttpRequest, template: str, obj: Any, context: dict[str, Any], status: int = 200
    ) -> TemplateResponse:
        """Answer a page about `obj`, None for one that is to be made, inside the frame of the console."""
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "title": str(obj), "original": obj}
        return TemplateResponse(request, template, frame | context, status=status)

    def get_visible_object(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row from the admin's own queryset; 403 without permission, 404 when it is not there."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.find_row(request, object_id)
        if obj is None:
            self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return obj

    def find_row(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row that an address is about; None if there is none."""
        return self.get_object(request, unquote(object_id))

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """Answer 404 for missing and hidden rows, where Django would redirect to the first page."""
        raise Http404(gettext("There is no such {verbose_name}.").format(verbose_name=opts.verbose_name))


class ReadOnlyAdmin(ConsoleAdmin):
    """A list and a page per row; there are no addresses to add, change or delete anything.

    `shows_files` says whether the page of a row is about files that no row tells of.
    """

    actions = None
    shows_files = False
    pages = ("changelist", "change")
    page_template = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: Autosubmit or the portal itself makes the rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never, not even for a superuser."""
        return False

    has_delete_permission = has_change_permission

    def change_view(self, request: HttpRequest, object_id: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the page of one row."""
        obj = self.get_visible_object(request, str(object_id))
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        shown = self.get_live_rows(request, obj)
        if shown is not None:
            stamps.begin_part(request, shown, shows_files=self.shows_files)
            obj = self.get_visible_object(request, str(object_id))  # as it is after the stamp
        return self.render_page(request, self.page_template, obj, self.get_page_context(request, obj))

    def get_live_rows(self, request: HttpRequest, obj: Any) -> "stamps.PartRows | None":
        """Return the rows that the live page of `obj` is made of; None for a page that is not live."""
        return None

    def get_page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Return what the page of `obj` shows besides the row itself."""
        return {}
