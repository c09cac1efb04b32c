"""Pages as they are printed, from a browser in dark mode."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import be_signed_in
from tests.support import web
from tests.support.services import Portal

pytestmark = pytest.mark.system

A4 = {"width": 718, "height": 1047}  # without margins, at 96 dots per inch
INK = "rgb(24, 33, 43)"
PRINTED = ("shift/", "experiments/a000/", "actions/1/", "experiments/a000/jobs/", "activity/", "")
TO_CLICK = "#header, nav a:not([aria-current]), button, .btn, input[type=submit], input[type=checkbox]"
HIDDEN_BY_AN_EDGE = """() => [...document.querySelectorAll('body *')]
    .filter((one) => getComputedStyle(one).overflow !== 'visible' && !one.closest('.visually-hidden, svg'))
    .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
    .map((one) => one.outerHTML.slice(0, 100))"""
SHOWN_FOR_TIMES = """() => [...document.querySelectorAll('time[data-relative]')].filter((one) => one.checkVisibility())
    .map((one) => [getComputedStyle(one).fontSize, getComputedStyle(one, '::after').content])"""


@pytest.fixture(scope="module")
def portal(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server with long texts."""
    made = web.serve(tmp_path_factory.mktemp("web"), static_files, text="A text that is as long as a name can be " * 2)
    yield made
    made.tear_down()


@pytest.fixture
def page(open_page: Callable[..., Page], portal: Portal) -> Page:
    """A page on its way to the printer."""
    opened = open_page(portal.url, viewport=A4, color_scheme="dark")
    be_signed_in(opened, portal, portal.credentials)
    opened.emulate_media(media="print")
    return opened


@pytest.mark.parametrize("address", PRINTED)
def test_a_printed_page_has_nothing_to_click_and_nothing_behind_an_edge(page: Page, address: str) -> None:
    page.goto(f"/{address}")
    expect(page.locator(TO_CLICK).locator("visible=true")).to_have_count(0)
    assert page.evaluate(HIDDEN_BY_AN_EDGE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]


@pytest.mark.parametrize("theme", ["auto", "dark"])
def test_a_page_is_printed_dark_on_light_whatever_the_theme(page: Page, theme: str) -> None:
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.goto("/experiments/a000/jobs/a000_SIM/")
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    parts = ("h1", "h2", ".card a", ".output pre")
    assert [page.locator(part).first.evaluate("one => getComputedStyle(one).color") for part in parts] == [INK] * 4


def test_printed_times_say_when_that_was_and_in_which_zone(page: Page) -> None:
    page.goto("/experiments/a000/")
    times = page.evaluate(SHOWN_FOR_TIMES)
    assert times
    assert all(size == "0px" and re.fullmatch(r'"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"', said) for size, said in times)


def test_a_printed_list_says_what_was_chosen(page: Page) -> None:
    page.goto("/experiments/a000/jobs/?status=FAILED&q=SIM")
    expect(page.locator(".filter-on")).to_have_text(re.compile(r"Status\s+FAILED"))
    expect(page.locator(".filter-on")).to_be_visible()
    expect(page.get_by_label("Search by job name")).to_be_visible()
    page.goto("/activity/?person=ana")
    expect(page.get_by_label("Person")).to_be_visible()
