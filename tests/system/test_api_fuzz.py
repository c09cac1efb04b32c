"""A short form of `make fuzz`: a few requests for each operation of the document, as each account."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import web
from tests.support.services import UNBOUNDED, Portal
from tests.tools import api_fuzz

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server without limits on how much is asked."""
    made = web.serve(tmp_path_factory.mktemp("web"), static_files, **UNBOUNDED)
    yield made
    made.tear_down()


@pytest.mark.parametrize("account", api_fuzz.ACCOUNTS, ids=lambda account: account.title)
def test_no_request_fails_the_server_or_changes_what_it_may_not(server: Portal, account: api_fuzz.Account) -> None:
    # All boundaries are tried as one account only: for all it takes minutes.
    phases = api_fuzz.PHASES if account.name == "manager" else "examples,fuzzing"
    finding = api_fuzz.fuzz(server, account, examples=2, seed=1, phases=phases)
    assert finding.is_good, finding.complaint + str(finding)
