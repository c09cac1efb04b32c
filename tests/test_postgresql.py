"""Our backend for PostgreSQL: whether a connection that was kept is alive, on a real server."""

from collections.abc import Iterator

import environ
import pytest
from django.db.utils import ConnectionHandler
from django.test.utils import CaptureQueriesContext

from autosubmit_portal.postgresql.base import DatabaseWrapper
from tests.postgres import Postgres


@pytest.fixture
def kept(db: None, postgres: Postgres) -> Iterator[DatabaseWrapper]:
    """A connection to the server of the tests that was made some requests ago."""
    made = ConnectionHandler(
        {"default": environ.Env.db_url_config(postgres.url) | {"ENGINE": "autosubmit_portal.postgresql"}}
    )["default"]
    assert isinstance(made, DatabaseWrapper)
    with made.cursor() as cursor:
        cursor.execute("SELECT 1")
    yield made
    made.close()


def end(connection: DatabaseWrapper, postgres: Postgres) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")


def test_a_living_connection_is_known_without_a_question(kept: DatabaseWrapper) -> None:
    with CaptureQueriesContext(kept) as captured:
        assert kept.is_usable()
    assert len(captured) == 0


def test_a_connection_that_the_server_ended_is_known(kept: DatabaseWrapper, postgres: Postgres) -> None:
    end(kept, postgres)
    assert not kept.is_usable()


def test_a_connection_that_is_closed_is_known(kept: DatabaseWrapper) -> None:
    kept.connection.close()
    assert not kept.is_usable()


def test_a_message_of_the_server_is_no_end(kept: DatabaseWrapper, postgres: Postgres) -> None:
    with kept.cursor() as cursor:
        cursor.execute("LISTEN news")
    postgres.execute("NOTIFY news")
    assert kept.is_usable()
