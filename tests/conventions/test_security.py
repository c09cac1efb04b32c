"""`docs/security.md` against the product: the tests that it names are there, its limits are the settings'."""

import re
from pathlib import Path

import pytest
from django.conf import settings

PAGE = Path(settings.BASE_DIR) / "docs" / "security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return found[2:]


@pytest.mark.parametrize("row", rows("Threats") + rows("Who is taken over"), ids=lambda row: row[0].strip()[:60])
def test_each_threat_names_a_test_that_exists(row: list[str]) -> None:
    tests = TEST.findall(row[-1])
    assert tests
    for file, name in tests:
        text = (Path(settings.BASE_DIR) / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("PORTAL_THROTTLE_ACTIONS", "THROTTLE_ACTIONS"),
        ("PORTAL_THROTTLE_ANONYMOUS", "THROTTLE_ANONYMOUS"),
        ("body", "DATA_UPLOAD_MAX_MEMORY_SIZE"),
        ("parameters of a query", "DATA_UPLOAD_MAX_NUMBER_FIELDS"),
    ],
)
def test_the_page_tells_the_limits(name: str, limit: str) -> None:
    (row,) = (row for row in rows("Limits") if name in " | ".join(row[:2]))
    assert f"{getattr(settings, limit):,}" in row[1]
