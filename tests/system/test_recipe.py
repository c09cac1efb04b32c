"""The recipe of CONTRIBUTING.md, followed in a copy of the project: with one new entry, all the rest is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.system
NOT_COPIED = shutil.ignore_patterns(".*_cache", "__pycache__", ".git", ".venv", "var", "dist", "*.png", "shots")
ENTRY = re.compile(r"## Add an Autosubmit command\n.*?```python\n(.*?)```", re.DOTALL)
NEW_ENTRY_STANDS_ABOVE = "\n# Every entry of this module"

# What looks at each kind, and of the table of rights the rows of teams. All fast tests would take minutes, and most of
# them do not know which kinds there are.
ABOUT_KINDS = (
    "tests/conventions/test_entries.py",
    "tests/conventions/test_catalogue.py",
    "tests/access/test_matrix.py",
    "tests/api/test_acting.py",
    "tests/api/test_dry_run.py",
    "tests/api/test_schema.py",
    "tests/console/test_buttons.py",
    "tests/console/test_requests.py",
    "tests/experiments/actions/test_absent.py",
    "tests/tools/trace/test_ways.py",
)
CHOSEN = "refresh or (test_matrix and team) or test_ways or derived or legal or every_kind"


def follow_recipe(copy: Path) -> None:
    """Do what the recipe says, with the entry that it shows."""
    (entry,) = ENTRY.findall((copy / "CONTRIBUTING.md").read_text())
    kinds = copy / "experiments" / "catalogue" / "kinds.py"
    before, place, after = kinds.read_text().partition(NEW_ENTRY_STANDS_ABOVE)
    assert place
    kinds.write_text(f"{before}\n{entry}\n{place}{after}")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Which tests about kinds have passed in the copy, by name."""
    copy = tmp_path_factory.mktemp("recipe") / "copy"
    shutil.copytree(REPOSITORY, copy, ignore=NOT_COPIED)
    follow_recipe(copy)
    report = copy / "report.xml"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TESTS_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "-k", CHOSEN]
    subprocess.run([*command, *ABOUT_KINDS], cwd=copy, env=environ, stdout=subprocess.DEVNULL, check=False)
    cases = ElementTree.parse(report).iter("testcase")  # noqa: S314  # our own report
    return {case.attrib["name"]: case.find("failure") is case.find("error") is None for case in cases}


def test_no_test_about_kinds_fails(results: dict[str, bool]) -> None:
    assert [name for name, is_passed in results.items() if not is_passed] == []


@pytest.mark.parametrize(
    "follows",
    [
        "test_the_route_makes_its_action",
        "test_the_document_explains_it_at_its_route",
        "test_a_kind_has_its_permission_held_from_its_least_role_upwards",
        "test_the_console_has_its_button_and_a_field_for_each_option",
        "test_the_pages_of_the_api_have_its_form_with_a_field_for_each_option",
        "test_the_trail_says_who_asked_for_it",
    ],
)
def test_a_new_kind_has_all_that_follows_from_its_entry(results: dict[str, bool], follows: str) -> None:
    assert results[f"{follows}[refresh]"]
