"""The stores of the bench, made by a tool."""

from pathlib import Path

import pytest

from tests.tools.bench.stores import NoTools, Plan, Store

PLAN = Plan(3, (40, 50))
TOOL = """
import json, pathlib, sys
program, target, experiments, big = sys.argv[1:]
assert (experiments, big) == ("3", "40,50")
made = [{"expid": "a000", "jobs": 8}, {"expid": "a001", "jobs": 50}, {"expid": "a002", "jobs": 40}]
pathlib.Path(target, "store.json").write_text(json.dumps({"home": target + "/home", "experiments": made}))
"""


def test_a_store_is_made_and_its_biggest_experiment_known(tmp_path: Path) -> None:
    (tmp_path / "make_store.py").write_text(TOOL)
    store = PLAN.made(tmp_path / "stores", tmp_path, tmp_path / "autosubmit")
    assert (store.big, store.jobs, store.home.name) == ("a001", 50, "home")


def test_a_store_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "make_store.py").write_text(TOOL)
    made = PLAN.made(tmp_path / "stores", tmp_path, tmp_path / "autosubmit")
    (tmp_path / "make_store.py").unlink()
    assert PLAN.made(tmp_path / "stores", tmp_path, tmp_path / "autosubmit") == made


def test_half_a_store_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "make_store.py").write_text(TOOL)
    half = tmp_path / "stores" / "3-experiments-90-jobs" / "half"
    half.mkdir(parents=True)
    assert isinstance(PLAN.made(tmp_path / "stores", tmp_path, tmp_path / "autosubmit"), Store)
    assert not half.exists()


def test_a_missing_tool_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoTools, match=r"make_store\.py.*TOOLS="):
        PLAN.made(tmp_path, tmp_path / "nowhere", tmp_path / "autosubmit")
