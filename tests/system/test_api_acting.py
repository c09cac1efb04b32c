"""An experiment from its creation to its trail through the pages of the API alone, with the real Autosubmit."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.services import Portal
from tests.support.waiting import wait_for
from tests.system.test_api_pages import answer, await_script, form

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


def ask(page: Page, name: str, told: str, **values: str) -> None:
    """Fill in a form, see by a dry run what it would do, and have it done."""
    asked = form(page, name)
    fill(asked, values)
    asked.get_by_role("button").click()
    expect(answer(page)).to_contain_text('"dry_run": true')
    expect(answer(page)).to_contain_text(told)
    await_script(page)
    asked = page.locator(f"details#{name} form.typed")
    asked.get_by_label("Dry run").select_option("")
    asked.get_by_role("button").click()
    page.wait_for_url("**/v4/actions/*")


def fill(asked: Locator, values: dict[str, str]) -> None:
    """Fill in fields by their labels."""
    for label, value in values.items():
        field = asked.get_by_label(re.compile(rf"^{label}( \(required\))?$", re.IGNORECASE))
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def wait_until_told(page: Page, text: str) -> None:
    """Reload the page until its answer says this."""
    pattern = re.compile(text)
    wait_for(lambda: bool(page.reload()) and bool(pattern.search(answer(page).inner_text())))


def follow(page: Page, *names: str) -> None:
    """Follow links, one after the other."""
    for name in names:
        page.get_by_role("link", name=name, exact=True).first.click()


def test_a_person_creates_starts_repairs_stops_and_restarts_an_experiment(page: Page, portal: Portal) -> None:
    original = portal.make_experiment("long")
    page.goto("/v4")
    page.get_by_role("link", name=re.compile("v4.experiments$")).click()
    wait_until_told(page, f'"name": "{original}"')

    ask(page, "create-create", f'"--copy={original}"', description="A copy", copy=original)
    wait_until_told(page, '"state": "succeeded"')
    [expid] = re.findall(r'"expid": "(\w+)"', answer(page).inner_text())
    follow(page, "Experiment")
    ask(page, "act-generate", '"create"', reason="first")
    wait_until_told(page, '"state": "succeeded"')

    follow(page, "Experiment")
    ask(page, "act-run", '"run"')
    follow(page, "Jobs", f"{expid}_LONG")
    wait_until_told(page, '"status": "RUNNING"')
    follow(page, "Children", f"{expid}_AFTER")
    ask(page, "partial_update-set_status_live", '"new": "SUSPENDED"', status="SUSPENDED")
    wait_until_told(page, '"state": "succeeded"')
    follow(page, "Jobs", f"{expid}_AFTER")
    wait_until_told(page, '"status": "SUSPENDED"')

    follow(page, expid)
    ask(page, "act-stop", '"stop"', cancel="true", reason="night")
    wait_until_told(page, '"state": "succeeded"')
    follow(page, "Jobs", f"{expid}_AFTER")
    ask(page, "partial_update-set_status", '"new": "WAITING"', status="WAITING")
    wait_until_told(page, '"state": "succeeded"')
    follow(page, "Experiment")
    ask(page, "act-restart", '"recovery"')
    follow(page, "Experiment")
    wait_until_told(page, '"is_running": true')

    follow(page, "Audit trail")
    told = dict.fromkeys(reversed(re.findall(r'"kind": "(\w+)"', answer(page).inner_text())))
    assert " ".join(told) == "create generate run set_status_live stop set_status restart"
