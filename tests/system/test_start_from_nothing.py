"""A portal whose home is gone: the database and the secrets are enough."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosubmit_portal.management.demo import Autosubmit
from tests.support import web
from tests.support.postgres import Postgres
from tests.support.services import Credentials, Portal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.system

SECRETS = {"PORTAL_SECRET_KEY": 2 * "the key of a portal that is deleted, ", "PORTAL_AUDIT_KEY": "the key of its trail"}
READS = ("/v4/experiments", "/v4/experiments/a000/jobs", "/v4/actions", "/v4/actions/1", "/v4/sites", "/v4/audit")


@pytest.fixture(scope="module")
def begun(postgres: Postgres, static_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A web server on PostgreSQL, with an experiment, jobs, an action, accounts and a token."""
    home, store = tmp_path_factory.mktemp("pod"), tmp_path_factory.mktemp("site") / "store"
    store.mkdir()
    variables = SECRETS | {"PORTAL_STATIC": str(static_files)}
    made = Portal(home, Autosubmit(Path("/nowhere"), store), postgres.create_database(), variables=variables)
    made.manage("migrate", "--verbosity=0")
    filled = made.manage("shell", "--no-imports", "-c", web.FILL, TEXT="Control run", STORE=str(store))
    made.credentials = Credentials("admin", web.PASSWORD, web.read_token(filled))
    made.start("web")
    yield made
    made.tear_down()
    postgres.drop_database(made.database_url)


def read_all(portal: Portal) -> dict[str, object]:
    """Return what the API answers."""
    return {path: portal.http.get(path).body for path in READS}


def test_a_portal_that_lost_its_home_has_lost_nothing(begun: Portal) -> None:
    before = read_all(begun)
    begun.kill()
    begun.kill_gateway()
    wait_for(lambda: not begun.find_agents())  # they write there until they end
    shutil.rmtree(begun.home)
    begun.home.mkdir()
    begun.start("web")
    assert read_all(begun) == before
    assert "Control run" in str(before["/v4/experiments"])
    assert begun.http.post("/v4/tokens", {"name": "after"}).status == 201
