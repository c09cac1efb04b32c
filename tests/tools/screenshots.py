"""The pictures of docs/images, taken from the running product, and the part of docs/console.md that shows them.

A portal of its own serves a new Autosubmit home in which real experiments run; Chromium looks at each page in the
light, in the dark and on a phone. pytest runs this file when it is named, for the sake of the fixtures; it is no test.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page

from tests.conftest import sign_in
from tests.support.services import Portal
from tests.support.waiting import wait_for
from tests.support.workflows import KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
IMAGES = DOCS / "images"
HEADING = "## Every page in pictures"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
QUALITY = 70
PAUSE_MS = 1500  # fonts, relative times, drawn pictures and the first live refresh
PEOPLE = """
from django.contrib.auth.models import User
from autosubmit_portal.access.models import Coverage, Membership, Team
from autosubmit_portal.access.roles import Role
from experiments.models import Site
team = Team.objects.create(slug="decadal", name="Decadal prediction")
Coverage.objects.create(team=team, site=Site.objects.get(), expid_pattern="*0*")
for name, role in (("ana", Role.MANAGER), ("bea", Role.OPERATOR), ("carl", Role.VIEWER)):
    Membership.objects.create(team=team, user=User.objects.create_user(name), role=role)
"""
DESCRIPTIONS = {
    "medium": "Decadal prediction, ten members from 2000",
    "mixed": "Historical run with a perturbed second member",
    "small": "Control run, first two months",
    "failing": "Spin-up with the new bathymetry",
    "long": "Scenario SSP2-4.5, coupled, T255-ORCA1",
    "waiting": "Hindcast 1993-2022, configuration under review",
}


class Shown(NamedTuple):
    """A page of the product: the name of its pictures, what the docs call it, and its address.

    In an address, {mixed} and so on are the experiments of that kind, {action} is the action that runs one.
    """

    name: str
    title: str
    address: str


PAGES = [
    Shown("sign-in", "Sign in", "/login/"),
    Shown("now", "Now: what needs you, what runs, the last 24 hours", "/"),
    Shown("search", "Search from everywhere", "/search/?q={mixed}"),
    Shown("experiments", "Experiments", "/experiments/"),
    Shown("experiment", "An experiment: state, failures, progress, actions, notes", "/experiments/{mixed}/"),
    Shown("grid", "Grid: chunks by member and section", "/experiments/{medium}/grid/"),
    Shown("graph", "Graph: sections and what they wait for", "/experiments/{medium}/graph/"),
    Shown("timeline", "Timeline: queue and run of each job", "/experiments/{medium}/timeline/"),
    Shown("performance", "Performance, each metric with its formula", "/experiments/{medium}/performance/"),
    Shown("user-metrics", "What jobs reported themselves", "/experiments/{medium}/user-metrics/"),
    Shown("compare", "Two runs compared", "/experiments/{small}/compare/"),
    Shown("jobs", "The jobs of an experiment", "/experiments/{mixed}/jobs/"),
    Shown("job", "A job that failed, and why", "/experiments/{failing}/jobs/{failing}_BAD/"),
    Shown("waiting-job", "A job, and why it does not run", "/experiments/{failing}/jobs/{failing}_AFTER/"),
    Shown("configuration", "The configuration, merged as Autosubmit merges it", "/experiments/{mixed}/configuration/"),
    Shown("access", "Who may do what, and why", "/experiments/{mixed}/access/"),
    Shown("stop", "The form of an action, with its command", "/experiments/{mixed}/request/stop/"),
    Shown(
        "set-status",
        "Set the status of jobs, seen first",
        "/experiments/{failing}/request/set_status/?status=READY&filter_status=FAILED",
    ),
    Shown(
        "reset",
        "Reset jobs and start, in one form",
        "/experiments/{failing}/request/reset_and_start/?filter_status=FAILED",
    ),
    Shown("create", "A new experiment", "/sites/1/request/create/"),
    Shown("action", "An action with its live output", "/actions/{action}/"),
    Shown("actions", "Actions", "/actions/"),
    Shown("runs", "Runs", "/runs/"),
    Shown("activity", "Activity: one line for each act", "/activity/"),
    Shown("shift", "A shift, to hand over", "/shift/"),
    Shown("teams", "Teams", "/teams/"),
    Shown("team", "A team: people, coverage, rights", "/teams/decadal/"),
    Shown("people", "People", "/people/"),
    Shown("person", "A person", "/people/bea/"),
    Shown("preferences", "Preferences: time zone and language", "/preferences/"),
    Shown("delegation", "Lend rights", "/delegations/add/"),
    Shown("tokens", "Tokens of the API", "/tokens/"),
    Shown("freeze", "A freeze, and what runs where it holds", "/freezes/1/"),
    Shown("site", "A site and its hosts", "/sites/1/change/"),
    Shown("health", "Health", "/health/"),
    Shown("audit", "The audit trail", "/audit/"),
    Shown("admin", "Admin", "/admin/"),
    Shown("not-found", "An address that leads nowhere", "/experiments/zzzz/"),
    Shown("api-form", "The API in a browser: what an experiment offers", "/v4/experiments/{mixed}#act-stop"),
    Shown("api-jobs", "The API in a browser: jobs that failed", "/v4/experiments/{mixed}/jobs?status=FAILED"),
    Shown("api-docs", "The documentation of the API", "/v4/docs"),
]


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_pictures_are_taken(portal: Portal, open_page: Callable[..., Page]) -> None:
    known = fill(portal)
    for look, options in LOOKS.items():
        visitor = open_page(portal.url, **options)
        take(visitor, PAGES[0], look, known)
        sign_in(visitor, portal.credentials)
        for shown in PAGES[1:]:
            take(visitor, shown, look, known)
    write_page()


def fill(portal: Portal) -> Mapping[str, str]:
    """Make experiments and people, and let some of all happen; return what addresses are made of."""
    expids = {kind: make(portal, kind) for kind in DESCRIPTIONS}
    for kind in ("small", "failing"):
        ask(portal, f"/v4/experiments/{expids[kind]}?action=run", wait=60)
    for what in ("generate", "run"):
        ask(portal, f"/v4/experiments/{expids['small']}?action={what}", wait=60, reason="Once more, for the new year")
    ask(portal, f"/v4/experiments/{expids['waiting']}?action=run", reason="The review is over.")  # refused
    for kind in ("medium", "mixed", "long"):
        ask(portal, f"/v4/experiments/{expids[kind]}?action=run", reason="Night shift")
    wait_for(lambda: {"FAILED", "RUNNING"} <= state(portal, expids["mixed"])["status_counts"].keys())
    wait_for(lambda: state(portal, expids["medium"])["completed"] > 120)
    portal.manage("shell", "--no-imports", "-c", PEOPLE)
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=18)  # the forms show what is possible before
    portal.http.post("/v4/freezes", {"message": "Maintenance of the batch system", "starts_at": begin.isoformat()})
    portal.http.post(f"/v4/experiments/{expids['failing']}/notes", {"text": "Seen. **BAD** needs the new bathymetry."})
    actions = portal.http.get(f"/v4/actions?expid={expids['mixed']}").body["results"]
    return expids | {"action": str(actions[0]["id"])}


def make(portal: Portal, kind: str) -> str:
    """Make an experiment and wait until the portal knows its jobs."""
    workflow = replace(KINDS[kind](), description=DESCRIPTIONS[kind])
    expid = workflow.make(portal.autosubmit, generate=kind != "waiting")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    wait_for(lambda: kind == "waiting" or state(portal, expid)["total"])
    return expid


def ask(portal: Portal, path: str, *, wait: int = 0, **body: str) -> None:
    """Ask for an action, and wait for its end."""
    portal.http.post(path, body, Prefer=f"wait={wait}")


def state(portal: Portal, expid: str) -> Any:
    """Return what the API tells of an experiment."""
    return portal.http.get(f"/v4/experiments/{expid}").body


def take(page: Page, shown: Shown, look: str, known: Mapping[str, str]) -> None:
    """Take a picture of what the window shows of a page."""
    answer = page.goto(shown.address.format_map(known))
    assert answer
    assert answer.ok or shown.name == "not-found", f"{answer.url}: {answer.status}"
    page.wait_for_timeout(PAUSE_MS)
    with_webp: dict[str, Any] = {"format": "webp", "quality": QUALITY}
    taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", with_webp)
    IMAGES.mkdir(parents=True, exist_ok=True)
    get_image(shown, look).write_bytes(base64.b64decode(taken["data"]))


def get_image(shown: Shown, look: str) -> Path:
    """Return the file of a picture."""
    return IMAGES / f"{shown.name}-{look}.webp"


def write_page() -> None:
    """Write the part of the page about the console that shows all pictures: its last."""
    page = DOCS / "console.md"
    text = page.read_text().partition(f"\n{HEADING}\n")[0]
    page.write_text("\n".join([text, *write_lines()]))


def write_lines() -> Iterator[str]:
    """Yield the lines of that part."""
    yield f"{HEADING}\n"
    yield "Taken by `make screenshots` from a running portal with real experiments: light, dark, on a phone.\n"
    for shown in PAGES:
        light, dark, phone = (f"images/{get_image(shown, look).name}" for look in LOOKS)
        yield f"**{shown.title}**\n"
        yield f'<img src="{light}" width="40%" alt="{shown.title}, light">'
        yield f'<img src="{dark}" width="40%" alt="{shown.title}, dark">'
        yield f'<img src="{phone}" width="12%" alt="{shown.title}, on a phone">\n'
