"""What the portal keeps is closed to the other accounts of its host, and what is open all the same is named."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal import health, privacy
from autosubmit_portal.checks import check_privacy

TEMPORARY = Path(tempfile.gettempdir())


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Have the umask of most accounts, before and after."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home as an older portal made it, in a folder that everybody may enter."""
    ours = (folder for folder in (tmp_path, *tmp_path.parents) if TEMPORARY in folder.parents)
    for folder in ours:
        folder.chmod(0o755)
    made = tmp_path / "home"
    (made / "actions").mkdir(parents=True)
    (made / "portal.sqlite3").write_text("the administrator's session")
    return made


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_home_is_private_and_so_is_all_that_is_made_later(tmp_path: Path) -> None:
    assert privacy.close_to_others(tmp_path / "a" / "home") == 0o022
    (tmp_path / "later").touch()
    assert (mode(tmp_path / "a" / "home"), mode(tmp_path / "later")) == (0o700, 0o600)


def test_a_home_of_an_older_portal_is_closed_with_its_files(home: Path) -> None:
    privacy.close_to_others(home)
    assert (mode(home), mode(home / "portal.sqlite3")) == (0o700, 0o600)


def test_a_link_in_the_home_leads_to_nothing_that_is_changed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (home / "link").symlink_to(tmp_path / "elsewhere")
    privacy.close_to_others(home)
    assert mode(tmp_path / "elsewhere") == 0o644


def test_a_folder_that_all_write_to_stays_theirs(home: Path) -> None:
    home.chmod(0o1777)
    privacy.close_to_others(home)
    assert mode(home) == 0o777


def test_what_others_can_read_is_named(home: Path) -> None:
    assert privacy.find_open_files([home, home / "absent"]) == [home / "portal.sqlite3"]


@pytest.mark.parametrize("closed", ["home", "home/actions", "home/actions/1"])
def test_nothing_is_open_below_a_folder_that_is_closed(home: Path, closed: str) -> None:
    (home / "portal.sqlite3").chmod(0o600)
    (home / "actions" / "1").mkdir()
    (home / "actions" / "1" / "output").touch()
    assert privacy.find_open_files([home]) == [home / "actions" / "1" / "output"]
    (home.parent / closed).chmod(0o700)
    assert privacy.find_open_files([home]) == []
    assert privacy.find_open_files([home / "actions" / "1" / "output"]) == []


def test_of_many_only_so_many_are_looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "MOST_ENTRIES", 7)
    for number in range(10):
        (home / str(number)).touch()
    assert privacy.describe_open_files(privacy.find_open_files([home])).endswith(" and 2 more.")


def test_check_and_doctor_name_them(home: Path, settings: Any, db: None) -> None:
    settings.PRIVATE_FILES = [home]
    (warning,) = check_privacy()
    (finding,) = health.examine(["files"])
    assert f"{home}/portal.sqlite3" in warning.msg
    assert (finding.word, finding.text) == ("open", warning.msg)
    privacy.close_to_others(home)
    assert check_privacy() == []
    assert health.examine(["files"])[0].word == "ok"
