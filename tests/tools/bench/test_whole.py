"""The whole bench in small: it runs, and its page has a figure in every place."""

from pathlib import Path

import pytest

from tests.conftest import MakeExperiment
from tests.tools.bench import actions, changes, changing, crowd, hostile, lists, page, pages, pictures, sites
from tests.tools.bench.service import Extent, measure
from tests.tools.bench.stores import Store

pytestmark = [pytest.mark.system, pytest.mark.postgres]


def test_mirror_and_reads_are_measured_on_both_databases(
    autosubmit: Path, autosubmit_home: Path, make_experiment: MakeExperiment, tmp_path: Path
) -> None:
    store = Store(autosubmit_home, make_experiment("medium"), jobs=981)
    extent = Extent(frozenset({"mirror", "reads"}), seconds=0.02, rounds=1, changes=1)
    sections = measure(tmp_path, [store], extent, python=autosubmit.parent / "python", rival=None)
    written = page.renewed("", [*sections, page.machine()])
    for start in ("a job list of 981 jobs", "| one job |", "| children with status |"):
        assert start in written
    assert "HTTP 500" not in written


def test_actions_are_measured(autosubmit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "IDLE_SECONDS", 0.5)
    section = actions.run(tmp_path, autosubmit, 2, cases=actions.CASES[:1])
    assert "| SQLite | 0.05 s |" in section.text


def test_changes_are_measured_on_both_databases(autosubmit: Path, tmp_path: Path) -> None:
    section = changes.run(tmp_path, autosubmit, seconds=0.1, experiments=32)
    assert "| 16 clients | target | SQLite | PostgreSQL |" in section.text


def test_the_load_of_a_crowd_is_measured(autosubmit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"TABS": 8, "ACCOUNTS": 2, "WAITS": 3, "FOLLOWERS": 2, "HEADS": 3, "READERS": 2}
    for name, size in small.items():
        monkeypatch.setattr(crowd, name, size)
    assert "| cores |" in crowd.run(tmp_path, autosubmit, seconds=1).text


def test_lists_are_measured_on_both_databases(autosubmit: Path, tmp_path: Path) -> None:
    section = lists.run(tmp_path, autosubmit, experiments=2, jobs=5)
    assert "| seconds (target: ≤ 0.15) | SQLite | PostgreSQL |" in section.text


def test_pages_and_open_tabs_are_measured(autosubmit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in {"ROUNDS": 1, "TABS": 2, "SETTLE_SECONDS": 0.0}.items():
        monkeypatch.setattr(pages, name, small)
    text = pages.run(tmp_path, autosubmit, experiments=3, jobs=200, seconds=1.0).text
    assert "| usable, s | ≤ 0.5 |" in text
    assert "| kB/s for each | ≤ 2 |" in text


def test_pictures_are_measured(autosubmit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOVE_SECONDS", 0.2)
    assert "200 jobs: first picture, s" in pictures.run(tmp_path, autosubmit, sizes=(200,)).text


def test_what_is_promised_of_sites_is_measured(
    autosubmit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "KINDS", {"named pipe": hostile.make_pipe})
    monkeypatch.setattr(changing, "WARM_UP", 0)
    monkeypatch.setattr(changing, "EVERY_SECONDS", 0.5)
    monkeypatch.setattr(changing, "SMALL_EVERY_SECONDS", 0.5)
    extent = sites.Extent(
        quiet=3,
        lists=1,
        jobs=20,
        rounds=2,
        idle_seconds=0.5,
        settle_seconds=0.0,
        hostile_seconds=0.0,
        effects=1,
        far_quiet=3,
        far_commands=2,
        far_seconds=1.0,
    )
    text = sites.run(tmp_path, autosubmit, extent).text
    for what in (
        "idle: these, % of a core",
        "1 × named pipe: others are later by",
        "small list, p95 s",
        "create experiment, command ÷ package",
    ):
        assert f"| {what}" in text
