"""docs/performance.md, of which a run rewrites what it measured."""

from pathlib import Path

from django.conf import settings

from tests.tools.bench.page import TITLES, Section, renewed

PAGE = Path(settings.BASE_DIR / "docs" / "performance.md")


def test_a_section_that_was_not_measured_stays_as_it_was() -> None:
    first = renewed("", [Section("Reads", "old\n\n### Part\n\nrows"), Section("The machine", "two cores")])
    second = renewed(first, [Section("The machine", "four cores")])
    assert "## Reads\n\nold\n\n### Part\n\nrows\n" in second
    assert ("two cores" in second, "four cores" in second) == (False, True)


def test_sections_are_in_the_order_of_the_page_whenever_they_were_measured() -> None:
    page = renewed(renewed("", [Section("The mirror", "m")]), [Section("Reads", "r")])
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## Reads", "## The mirror"]


def test_the_page_in_the_repository_can_be_renewed() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert renewed(written, []) == written
    assert {line[3:] for line in written.splitlines() if line.startswith("## ")} <= set(TITLES)
