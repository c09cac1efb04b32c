"""Our backend for PostgreSQL, on a real server: is a kept connection alive; what goes along with the COMMIT."""

from collections.abc import Iterator

import environ
import pytest
from django.db import IntegrityError
from django.db.utils import ConnectionHandler
from django.test.utils import CaptureQueriesContext

from autosubmit_portal.postgresql.base import DatabaseWrapper
from tests.support.postgres import Postgres


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


@pytest.fixture
def names(kept: DatabaseWrapper) -> Iterator[str]:
    """A table of names, which must differ."""
    with kept.cursor() as cursor:
        cursor.execute("CREATE TABLE names (name text UNIQUE)")
    yield "INSERT INTO names VALUES (%s)"
    with kept.cursor() as cursor:
        cursor.execute("DROP TABLE names")


def count_names(connection: DatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM names")
        return int(cursor.fetchone()[0])


def test_a_last_statement_is_committed_with_what_was_before_it(kept: DatabaseWrapper, names: str) -> None:
    kept.set_autocommit(False)
    kept.cursor().execute(names, ["first"])
    kept.execute_last(names, ["last"])
    kept.commit()
    kept.set_autocommit(True)
    assert count_names(kept) == 2


def test_a_last_statement_is_done_before_whatever_comes_after_it(kept: DatabaseWrapper, names: str) -> None:
    kept.set_autocommit(False)
    kept.execute_last(names, ["last"])
    assert count_names(kept) == 1
    kept.rollback()
    kept.set_autocommit(True)


def test_a_last_statement_is_forgotten_when_the_transaction_fails(kept: DatabaseWrapper, names: str) -> None:
    kept.set_autocommit(False)
    kept.execute_last(names, ["last"])
    kept.rollback()
    kept.set_autocommit(True)
    assert count_names(kept) == 0


def test_a_last_statement_that_fails_takes_the_transaction_with_it(kept: DatabaseWrapper, names: str) -> None:
    kept.set_autocommit(False)
    kept.cursor().execute(names, ["twice"])
    kept.execute_last(names, ["twice"])
    with pytest.raises(IntegrityError):
        kept.commit()
    kept.rollback()
    kept.set_autocommit(True)
    assert count_names(kept) == 0
