"""The short form of `make chaos`: a few faults on each database, in haste, with a new seed each time."""

import secrets

import pytest

from tests.tools.chaos.__main__ import report
from tests.tools.chaos.fleet import Setup
from tests.tools.chaos.ordeal import ordeal

pytestmark = pytest.mark.system


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_nothing_is_lost_done_twice_or_unrecorded_when_processes_and_servers_die(database: str) -> None:
    seed = secrets.randbelow(10**6)
    verdict = ordeal(Setup(database), seed=seed, faults=6, experiments=6, in_haste=True)
    assert verdict.is_clean, f"seed {seed}\n{report(verdict)}"
