"""The procedures on the real Autosubmit: a command in a warm process is as one in a process of its own.

`make procedures` compares all commands.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.catalogue.kinds import CATALOGUE
from tests.support.procedures import CASES, TwoStores, two_stores

# Prints what modules and classes of Autosubmit have kept of the time, the process and the folder of their import.
FIND_KEPT = """
import datetime, json, os, sys, time
before = time.time()
import autosubmit.scripts.autosubmit

def is_kept(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value == os.getpid() or before - 1 <= value <= time.time()
    if isinstance(value, (datetime.datetime, datetime.tzinfo)):
        return value is not datetime.timezone.utc
    return isinstance(value, (str, os.PathLike)) and any(
        mark in str(value) for mark in (os.getcwd(), time.strftime("%Y%m%d"), time.strftime("%Y-%m-%d"))
    )

found = set()
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] == "autosubmit":
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        for holder in [module, *(made for made in classes if made.__module__ == name)]:
            found |= {f"{name}:{key}" for key, value in vars(holder).items() if is_kept(value)}
print(json.dumps(sorted(found)))
"""


@pytest.fixture(scope="module")
def stores(autosubmit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoStores]:
    with two_stores(autosubmit, tmp_path_factory.mktemp("stores")) as made:
        yield made


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("create", 0),
        ("generate", 0),
        ("set status", 0),
        ("recover", 0),
        ("update description", 0),
        ("set status of none", 100),
        ("an option that is none", 1),
    ],
)
def test_a_warm_command_ends_prints_and_leaves_the_same(stores: TwoStores, case: str, status: int) -> None:
    assert stores.compare(*CASES[case]) == (status, [])


def test_what_autosubmit_keeps_of_its_import_is_known(autosubmit: Path, tmp_path: Path) -> None:
    """The date of its logs is made anew for each command; another time zone ends a warm process."""
    told = subprocess.run(
        [str(autosubmit.parent / "python"), "-c", FIND_KEPT], cwd=tmp_path, check=True, capture_output=True
    )
    assert json.loads(told.stdout) == [
        "autosubmit.experiment.detail_updater:LOCAL_TZ",
        "autosubmit.history.utils:LOCAL_TZ",
        "autosubmit.log.log:date",
    ]


def test_every_command_of_the_catalogue_but_a_run_is_compared() -> None:
    """What is a script of ours is no command of Autosubmit."""
    steps = [step for kind in CATALOGUE.values() for step in kind.steps]
    commands = {step.name for step in steps if not (step.is_long or step.script)}
    assert commands <= {words[0] for words in CASES.values() if words}
