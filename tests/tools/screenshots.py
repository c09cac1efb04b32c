"""The pictures of docs/images, taken from the running product: `make screenshots`.

A portal of its own serves a new Autosubmit home in which real experiments run; Chromium looks at it. pytest runs this
file when it is named, for the sake of the fixtures; it is no test.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.conftest import sign_in
from tests.support.services import Portal
from tests.support.waiting import wait_for
from tests.support.workflows import KINDS

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 375, "height": 812}, "device_scale_factor": 2}
DARK: dict[str, Any] = {"color_scheme": "dark"}
TEAM = """
from django.contrib.auth.models import User
from autosubmit_portal.access.models import Coverage, Membership, Team
from autosubmit_portal.access.roles import Role
from experiments.models import Site
team = Team.objects.create(slug="decadal", name="Decadal prediction")
Coverage.objects.create(team=team, site=Site.objects.get(), expid_pattern="b*")
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


@pytest.mark.parametrize("portal", ["sqlite"], indirect=True)
def test_pictures_are_taken(portal: Portal, open_page: Callable[..., Page]) -> None:
    expids = {kind: make(portal, kind) for kind in DESCRIPTIONS}
    for kind in ("small", "failing"):
        ask(portal, f"/v4/experiments/{expids[kind]}?action=run", wait=60)
    ask(portal, f"/v4/experiments/{expids['waiting']}?action=run", reason="The review is over.")  # refused
    for kind in ("medium", "mixed", "long"):
        ask(portal, f"/v4/experiments/{expids[kind]}?action=run", reason="Night shift")
    wait_for(lambda: has_failed_and_running_jobs(portal, expids["mixed"]))
    wait_for(lambda: state(portal, expids["medium"])["completed"] > 120)
    shoot_all(portal, open_page, expids)


def make(portal: Portal, kind: str) -> str:
    workflow = replace(KINDS[kind](), description=DESCRIPTIONS[kind])
    expid = workflow.make(portal.autosubmit, generate=kind != "waiting")
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").status == 200)
    wait_for(lambda: kind == "waiting" or state(portal, expid)["total"])
    return expid


def ask(portal: Portal, path: str, *, wait: int = 0, **body: str) -> None:
    portal.http.post(path, body, Prefer=f"wait={wait}")


def state(portal: Portal, expid: str) -> Any:
    return portal.http.get(f"/v4/experiments/{expid}").body


def has_failed_and_running_jobs(portal: Portal, expid: str) -> bool:
    counts = state(portal, expid)["status_counts"]
    return "FAILED" in counts and "RUNNING" in counts


def shoot_all(portal: Portal, open_page: Callable[..., Page], expids: dict[str, str]) -> None:
    desk = signed_in(portal, open_page, **DESKTOP)
    shoot(desk, "/", "now")
    shoot(desk, "/experiments/", "experiments")
    desk.get_by_role("link", name=expids["mixed"], exact=True).first.click()
    experiment = desk.url
    shoot(desk, experiment, "experiment")
    shoot(desk, f"/jobs/?q={expids['mixed']}", "jobs")
    desk.goto(experiment)
    desk.get_by_role("link", name="Follow its output").first.click()
    shoot(desk, desk.url, "action")
    desk.goto(experiment)
    desk.get_by_role("link", name="Stop…", exact=True).first.click()
    shoot(desk, desk.url, "form")
    desk.goto(experiment)
    desk.get_by_role("link", name="Configuration").click()
    desk.get_by_placeholder("Find a key or a value").fill("chunk")  # and no path of this machine
    picture(desk, "configuration")
    portal.manage("shell", "--no-imports", "-c", TEAM)
    shoot(desk, "/teams/decadal/", "team")
    portal.http.post("/v4/freezes", {"message": "Maintenance of the batch system until noon"})
    shoot(desk, "/freezes/1/", "freeze")
    shoot(desk, "/audit/", "audit")
    shoot(desk, "/v4/docs", "api", pause_ms=3000)
    shoot_api(desk, expids["mixed"])
    shoot(signed_in(portal, open_page, **DESKTOP, **DARK), "/", "now-dark")
    shoot(signed_in(portal, open_page, **PHONE), experiment, "phone")


def shoot_api(page: Page, expid: str) -> None:
    """Take the pages of the API: a form of an experiment, and in the dark the jobs that failed."""
    page.goto(f"/v4/experiments/{expid}")
    page.locator("details#act-stop summary").click()
    page.locator("details#act-stop form.typed").get_by_label("Reason").fill("The forcing is wrong")
    picture(page, "api-form")
    page.goto(f"/v4/experiments/{expid}/jobs?status=FAILED")
    page.emulate_media(color_scheme="dark")
    picture(page, "api-jobs-dark")


def signed_in(portal: Portal, open_page: Callable[..., Page], **options: Any) -> Page:
    page = open_page(portal.url, **options)
    sign_in(page, portal.credentials)
    return page


def shoot(page: Page, path: str, name: str, *, pause_ms: int = 1000) -> None:
    page.goto(path)
    picture(page, name, pause_ms=pause_ms)


def picture(page: Page, name: str, *, pause_ms: int = 1000) -> None:
    page.wait_for_timeout(pause_ms)  # fonts, relative times and the first live refresh
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=IMAGES / f"{name}.png")
