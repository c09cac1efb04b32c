"""`make procedures`: all commands of Autosubmit by both procedures, and what differs in the two stores afterwards.

With AUTOSUBMIT= it compares another version.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import OWN_AUTOSUBMIT
from tests.support.procedures import CASES, TwoStores, two_stores


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoStores]:
    """On the program as it is installed."""
    program = Path(os.environ.get("AUTOSUBMIT", OWN_AUTOSUBMIT)).absolute()
    with two_stores(program, tmp_path_factory.mktemp("stores")) as made:
        yield made


@pytest.mark.autosubmit
@pytest.mark.parametrize("case", CASES)
def test_a_warm_command_ends_prints_and_leaves_the_same(stores: TwoStores, case: str) -> None:
    _, differences = stores.compare(*CASES[case])
    assert differences == []


@pytest.mark.autosubmit
@pytest.mark.parametrize("case", ["generate", "set status"])
def test_a_warm_command_that_a_run_forbids_is_refused_the_same(stores: TwoStores, case: str) -> None:
    with stores.hold_locks("b001"):
        assert stores.compare(*CASES[case]) == (1, [])
