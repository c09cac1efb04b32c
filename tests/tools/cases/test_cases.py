"""The tables that the cases are held to, and what they say where they cannot be played."""

import os
import re

import pytest
from django.conf import settings

from tests.tools.cases import tables
from tests.tools.cases.__main__ import CASES
from tests.tools.cases.hosts import Missing, require_means


@pytest.mark.parametrize("name", CASES)
def test_each_row_of_a_table_tells_what_is_seen(name: str) -> None:
    assert {"web-database", "web-provider"} < tables.read_links(name).keys()
    assert "gateway opens the database" in tables.read_trials(name)


@pytest.mark.parametrize("name", CASES)
def test_ci_installs_what_a_case_needs(name: str) -> None:
    text = (settings.BASE_DIR / ".ci" / "packages").read_text()
    installed = {*re.findall(r"^ *need (\S+)", text, re.MULTILINE), "util-linux"}  # without which there is no Debian
    assert {*CASES[name].programs.values()} <= installed


def test_a_case_says_what_is_missing() -> None:
    with pytest.raises(Missing, match="needs root" if os.geteuid() else "apt-get install no-such-package"):
        require_means({"no-such-program": "no-such-package"})
