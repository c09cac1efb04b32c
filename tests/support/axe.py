"""What axe, which looks for what hinders people, finds on a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

AT_WORK: set[Page] = set()
"""The pages that axe looks at. It styles them, which a policy forbids, so that their consoles complain."""

_CONTRAST = {"runOnly": ["color-contrast"]}


def list_complaints(page: Page) -> list[str]:
    """Return what is not minor of what it finds, each with the first part of the page that has it."""
    return _run(page, {})


def list_complaints_in_both(page: Page) -> list[str]:
    """Return the same in the light, and of the dark what differs there: contrast."""
    page.emulate_media(color_scheme="light")
    found = _run(page, {})
    page.emulate_media(color_scheme="dark")
    return [*found, *(f"in the dark: {one}" for one in _run(page, _CONTRAST))]


def _run(page: Page, options: dict[str, list[str]]) -> list[str]:
    AT_WORK.add(page)
    found = Axe().run(page, options=options).response["violations"]
    AT_WORK.remove(page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] != "minor"]
