"""What a site says in its file, and which variables its commands get by it."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.site_file import SiteFile, read_site_file
from tests.agent.agents import write_site_file

CONFIGURATION = "AUTOSUBMIT_CONFIGURATION"


def read(folder: Path, **changes: Any) -> SiteFile:
    return read_site_file(write_site_file(folder, **changes))


def test_a_file_without_profiles_has_the_usual_one(tmp_path: Path) -> None:
    file = write_site_file(tmp_path)
    named = json.loads(file.read_text())
    del named["profiles"]
    file.write_text(json.dumps(named))
    assert read_site_file(file).make_environment("usual", "")["LANG"] == "C.UTF-8"


@pytest.mark.parametrize("account", ["", "ana"])
@pytest.mark.parametrize(
    ("changes", "configuration"),
    [
        ({"home": "/gpfs/as"}, "/gpfs/as/.autosubmitrc"),
        ({"home": "/gpfs/as", "configuration": "/etc/es.rc"}, "/etc/es.rc"),
        ({"home": "/gpfs/as", "profiles": {"usual": {CONFIGURATION: "/of/profile"}}}, "/of/profile"),
    ],
)
def test_commands_find_the_configuration_by_which_the_store_is_read(
    tmp_path: Path, account: str, changes: dict[str, Any], configuration: str
) -> None:
    assert read(tmp_path, **changes).make_environment("usual", account)[CONFIGURATION] == configuration


def test_a_command_of_the_agents_own_account_finds_the_configuration_of_its_home_itself(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert CONFIGURATION not in read(tmp_path).make_environment("usual", "")
    assert read(tmp_path).make_environment("usual", "ana")[CONFIGURATION] == f"{own}/.autosubmitrc"


def test_a_profile_with_a_home_has_the_configuration_there(tmp_path: Path) -> None:
    site = read(tmp_path, home="/gpfs/as", profiles={"usual": {"HOME": "/gpfs/other"}})
    assert CONFIGURATION not in site.make_environment("usual", "")
    assert site.make_environment("usual", "ana")[CONFIGURATION] == "/gpfs/other/.autosubmitrc"
