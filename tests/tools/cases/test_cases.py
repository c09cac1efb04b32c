"""The infrastructures of docs/infrastructure.md, each from its beginning to its end."""

import os
from pathlib import Path

import pytest

from tests.tools.cases import tables
from tests.tools.cases.__main__ import CASES
from tests.tools.cases.hosts import Missing, require_means


@pytest.mark.system
@pytest.mark.parametrize("name", CASES)
def test_a_case_is_as_its_tables_say(name: str, autosubmit: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, to make accounts, namespaces and networks")
    CASES[name](autosubmit).play()


@pytest.mark.parametrize("name", CASES)
def test_each_row_of_a_table_tells_what_is_seen(name: str) -> None:
    assert {"people-web", "web-database"} < tables.read_links(name).keys()
    assert "gateway opens the database" in tables.read_trials(name)


def test_a_case_says_what_is_missing() -> None:
    with pytest.raises(Missing, match="needs root" if os.geteuid() else "apt-get install no-such-package"):
        require_means({"no-such-program": "no-such-package"})
