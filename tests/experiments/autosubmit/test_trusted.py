"""Whose hands a program or a home is in."""

import os
from pathlib import Path

import pytest

from experiments.autosubmit.trusted import explain_distrust

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program in a folder of ours, below folders of ours."""
    made = tmp_path / "opt" / "bin" / "autosubmit"
    made.parent.mkdir(parents=True)
    made.touch(mode=0o755)
    return made


def test_what_is_ours_or_roots_is_trusted(program: Path) -> None:
    assert explain_distrust(program) == ""
    assert explain_distrust(Path("/bin/sh")) == ""


@pytest.mark.parametrize(("mode", "who"), [(0o775, "its group"), (0o757, "everybody")])
@pytest.mark.parametrize("above", [0, 1, 2])
def test_what_others_can_write_is_not_trusted_nor_what_lies_below_it(
    above: int, mode: int, who: str, program: Path
) -> None:
    place = [program, *program.parents][above]
    place.chmod(mode)
    assert explain_distrust(program) == f"{place} can be written by {who}"


@needs_root
@pytest.mark.parametrize("above", [0, 1, 2])
def test_what_belongs_to_somebody_else_is_not_trusted(above: int, program: Path) -> None:
    place = [program, *program.parents][above]
    os.chown(place, 65534, -1)
    assert explain_distrust(program) == f"{place} belongs to nobody"


def test_a_link_is_as_good_as_where_it_leads(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("opt/bin")
    assert explain_distrust(link / "autosubmit") == ""
    program.parent.chmod(0o777)
    assert explain_distrust(link / "autosubmit") == f"{program.parent} can be written by everybody"


@needs_root
def test_a_link_of_somebody_else_is_not_trusted(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(program)
    os.lchown(link, 65534, -1)
    assert explain_distrust(link) == f"{link} belongs to nobody"


def test_links_that_lead_to_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert explain_distrust(tmp_path / "a" / "autosubmit") == ""


def test_in_a_sticky_folder_nobody_replaces_what_is_ours_but_it_is_no_home(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "ours").touch()
    shared.chmod(0o1777)
    assert explain_distrust(shared / "ours") == ""
    assert "everybody" in explain_distrust(shared)


def test_what_is_not_there_is_made_by_who_may_write_above(tmp_path: Path) -> None:
    assert explain_distrust(tmp_path / "nothing" / "here") == ""
    tmp_path.chmod(0o777)
    assert "everybody" in explain_distrust(tmp_path / "nothing" / "here")
