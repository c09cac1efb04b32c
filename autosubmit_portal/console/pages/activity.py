"""Activity: what people did, one line for each act, of all experiments and of one; on a page and as CSV."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import make_origin
from autosubmit_portal.audit.periods import PERIODS, describe_period, get_bounds
from autosubmit_portal.console import stamps
from autosubmit_portal.console.pages.now import WHOSE, choose_acts
from autosubmit_portal.console.parts import acts
from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.parts.times import read_instant, write_typed
from autosubmit_portal.console.site import console
from autosubmit_portal.console.text import Text
from autosubmit_portal.csv_lines import write_csv_lines
from experiments import activity
from experiments.activity import MOST_SEARCHED, OTHER, OUTSIDE, STATES_OF_OUTCOMES, Choice, Position
from experiments.catalogue.kinds import CATALOGUE
from experiments.models import Experiment

ROWS = 50
ROWS_AT_ONCE = 500
LIVE_SECONDS = 5
FIELDS = ("q", "person", "expid", "kind", "outcome", "period", "since", "until", "whose")
TIMES = ("since", "until")
AT = "at (UTC)"
COLUMNS = (
    *(AT, "person", "on_behalf_of", "act", "subject", "site", "seconds", "reason", "outcome", "message"),
    *("action", "entry"),
)
FOLDED = ("person", "expid", "kind", "outcome", "since", "until")
PERIOD_NAMES = {name: describe_period(name) for name in PERIODS}
OUTCOMES = {"active": gettext_noop("Going on")}
_NO_TIME = gettext_lazy("A time looks like 2026-11-29T18:00. All times are shown instead.")


@dataclass(slots=True)
class Form:
    """What the address chooses: the values of its fields, and what is wrong with them; blank if nothing is."""

    values: dict[str, str]
    words: str = ""
    error: Text = ""
    menus: list[tuple[str, str, list[tuple[str, str, bool]]]] = field(default_factory=list)

    @property
    def query(self) -> str:
        """The same choice as the query of an address."""
        return urlencode({name: value for name, value in self.values.items() if value})

    @property
    def typed(self) -> dict[str, str]:
        """What its fields of times hold."""
        return {name: write_typed(at) for name in TIMES if (at := read_instant(self.values[name]))}

    @property
    def is_chosen(self) -> bool:
        """Whether anything is left out."""
        return any(value for name, value in self.values.items() if name != "whose")

    @property
    def is_narrow(self) -> bool:
        """Whether a field is filled that is folded away otherwise."""
        return any(self.values[name] for name in FOLDED)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What links choose, which the form keeps."""
        return [(name, self.values[name]) for name in ("whose", "period")]

    @property
    def whose(self) -> list[tuple[str, str, bool]]:
        """Query and label of each choice of whose acts are shown, and whether it is this one."""
        return self._list_links("whose", WHOSE, "all")

    @property
    def periods(self) -> list[tuple[str, str, bool]]:
        """The same of the periods; another one takes the place of times that were filled in."""
        return self._list_links(
            "period",
            {"": gettext("Any time"), **{name: gettext(title) for name, title in PERIOD_NAMES.items()}},
            "",
            since="",
            until="",
        )

    def _list_links(
        self, name: str, labels: Mapping[str, Text], usual: str, **besides: str
    ) -> list[tuple[str, str, bool]]:
        links = []
        for value, label in labels.items():
            query = {key: text for key, text in {**self.values, **besides, name: value}.items() if text}
            links.append((urlencode(query), str(label), value == (self.values[name] or usual)))
        return links


def activity_page(request: HttpRequest) -> HttpResponseBase:
    """Show what people did."""
    form = read_form(request)
    choice = choose_acts(request.user, form.values["whose"] or "all")
    return answer(request, form, narrow(request, form, choice), {"title": gettext("Activity")})


class ActivityPage(ReadOnlyAdmin):
    """Gives the admin of experiments the page `<id>/activity/`."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        return [self.make_row_url("activity", self.activity_view), *super().get_urls()]

    def activity_view(self, request: HttpRequest, object_id: int | str) -> HttpResponseBase:
        """Show what people did to one experiment."""
        experiment: Experiment = self.get_visible_object(request, str(object_id))
        form = read_form(request)
        form.values["expid"] = form.values["whose"] = ""
        choice = Choice(expid=experiment.expid, experiments=Experiment.objects.filter(pk=experiment.pk))
        context = {
            "title": gettext("Activity of {expid}").format(expid=experiment.expid),
            "opts": self.opts,
            "original": experiment,
            **make_head_context(request, experiment, "activity"),
        }
        return answer(request, form, narrow(request, form, choice), context)


def read_form(request: HttpRequest) -> Form:
    """Return what the address chooses; values that there are not choose nothing."""
    values = {name: request.GET.get(name, "").strip().replace("\0", "") for name in FIELDS}
    menus = {
        "kind": {name: gettext(kind.title) for name, kind in CATALOGUE.items()}
        | {OUTSIDE: gettext("Outside of the portal"), OTHER: gettext("People, rights, sites")},
        "outcome": {name: gettext(OUTCOMES.get(name, name.capitalize())) for name in STATES_OF_OUTCOMES},
    }
    for name, known in {**menus, "period": PERIODS, "whose": WHOSE}.items():
        values[name] = values[name] if values[name] in known else ""
    for name in TIMES:
        at = read_instant(values[name])
        values[name] = at.isoformat(timespec="seconds") if at else values[name]
    form = Form(values)
    form.menus = [
        (
            name,
            gettext(name.capitalize()),
            [("", gettext("All"), False), *((key, text, key == values[name]) for key, text in known.items())],
        )
        for name, known in menus.items()
    ]
    return form


def narrow(request: HttpRequest, form: Form, choice: Choice) -> Choice:
    """Return a choice to which that of the form is added; tell the form what is searched for and what is wrong."""
    values = form.values
    since, until = get_bounds(values["period"]) if values["period"] else (None, None)
    given = {name: read_instant(values[name]) for name in TIMES}
    if any(values[name] and given[name] is None for name in given):
        form.error = _NO_TIME
    chosen = replace(
        choice,
        person=values["person"],
        expid=choice.expid or values["expid"],
        kinds=frozenset(filter(None, [values["kind"]])),
        outcome=values["outcome"],
        since=given["since"] or since,
        until=given["until"] or until,
    )
    found = activity.understand(request.user, values["q"], chosen)
    form.words = " ".join(found.words)
    return found


def answer(request: HttpRequest, form: Form, choice: Choice, context: dict[str, Any]) -> HttpResponseBase:
    """Answer a page of the acts that are chosen, or all of them as CSV."""
    if request.GET.get("format") == "csv":
        return answer_csv(request, form, choice)
    after = Position.read(request.GET.get("before", ""))
    stamps.begin_part(request, activity.list_live_rows(request.user, choice, ROWS, after))
    page = activity.read_acts(request.user, choice, ROWS, after)
    activity.add_entries(request.user, page.rows)
    shown = {
        "form": form,
        "lines": acts.tell(page.rows),
        "next": page.next,
        "is_older": after != activity.NEWEST,
        "live_seconds": LIVE_SECONDS,
        "most_searched": MOST_SEARCHED,
        "may_see_trail": policy.may_view(request.user, AuditEntry),
    }
    return TemplateResponse(
        request, "admin/portal/activity.html", {**console.each_context(request), **shown, **context}
    )


def answer_csv(request: HttpRequest, form: Form, choice: Choice) -> StreamingHttpResponse:
    """Answer all acts that are chosen, as a stream, and record that they were taken away."""
    details = {"format": "csv", "query": {name: value for name, value in form.values.items() if value}}
    trail.record("audit.exported", origin=make_origin(request), subject="activity", details=details)
    rows = (write_line(act) for act in activity.iterate_acts(request.user, choice, ROWS_AT_ONCE))
    content = write_csv_lines(rows, [*COLUMNS])
    return StreamingHttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="activity.csv"'},
    )


def write_line(act: activity.Act) -> dict[str, Any]:
    """Return an act as a row of CSV."""
    (line,) = acts.tell([act])
    row = {name: getattr(line, name) for name in COLUMNS if hasattr(line, name)}
    return row | {
        AT: line.at.isoformat(timespec="seconds"),
        "act": line.words,
        "action": act.action.pk if act.action else None,
        "entry": act.entry.pk if act.entry else None,
    }
