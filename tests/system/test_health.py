"""`/healthz` of a real web server that loses its real database."""

from pathlib import Path

import pytest

from autosubmit_portal.health import CHECKS
from autosubmit_portal.management.demo import Autosubmit
from tests.support.postgres import Postgres
from tests.support.services import Portal

pytestmark = pytest.mark.system


def test_a_web_server_asks_to_be_left_out_when_its_database_is_gone(
    postgres: Postgres, static_files: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "static").symlink_to(static_files)
    made = Portal(home=tmp_path, autosubmit=Autosubmit(Path("/nowhere"), tmp_path / "autosubmit-home"))
    request.addfinalizer(made.tear_down)
    made.database_url = postgres.create_database()
    made.make_tables()
    made.start("web")
    assert made.http.get("/healthz").status == 200
    postgres.drop_database(made.database_url)
    answer = made.http.get("/healthz")
    assert (answer.status, answer.body) == (503, dict.fromkeys(CHECKS, "unknown") | {"database": "down"})
