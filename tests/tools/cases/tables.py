"""The tables of docs/infrastructure.md, which the cases are held to."""

import re
from collections.abc import Mapping

from tests.support.site_host import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "infrastructure.md"
# After it is mended, a kept connection sends again what was lost, ever more seldom (TCP).
MENDED_SECONDS = 120.0
_QUOTED = re.compile(r"“([^”]+)”")


def read_links(case: str) -> Mapping[str, str]:
    """Return what people see when a link is cut: the words in quotes in the last column."""
    return _read(case, "connections")


def read_trials(case: str) -> Mapping[str, str]:
    """Return what somebody gets who tries what the first column says: the words in quotes in the last."""
    return _read(case, "trust")


def _read(case: str, what: str) -> Mapping[str, str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    _, begin, after = text.partition(f"<!-- {case}: {what} -->\n")
    assert begin, f"{DOCUMENT.name} has no table of {what} of {case}"
    rows = [line.strip("|").split("|") for line in after.lstrip("\n").partition("\n\n")[0].splitlines()[2:]]
    found = {cells[0].strip(): _QUOTED.findall(cells[-1])[-1] for cells in rows}
    assert found
    return found
