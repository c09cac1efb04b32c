"""Fixtures on real parts: the real Autosubmit, real databases, real processes, a real browser.

Whatever uses one of them gets the marker of its kind, so that plain `pytest` runs the fast tests only.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import TransactionTestCase
from rest_framework.test import APIClient

from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit import triggers
from experiments.models import Site
from tests import factories
from tests.postgres import Postgres, server

REPOSITORY = Path(__file__).resolve().parent.parent
MARKER_OF_FIXTURE = {
    "autosubmit": "autosubmit",
    "postgres": "postgres",
    "portal": "system",
    "browser": "browser",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the markers of the fixtures that it uses, before `-m` chooses."""
    for item in items:
        for name in getattr(item, "fixturenames", ()):
            if name in MARKER_OF_FIXTURE:
                item.add_marker(MARKER_OF_FIXTURE[name])


# --- Databases


@pytest.fixture(scope="session", autouse=True)
def _flush_without_triggers() -> Iterator[None]:
    """Let the tests that cannot roll back empty the audit trail, which refuses that to everybody else."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def teardown(self: TransactionTestCase) -> None:
        with connection.schema_editor() as editor:
            triggers.remove(None, editor)
        flush(self)
        with connection.schema_editor() as editor:
            triggers.install(None, editor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


@pytest.fixture(autouse=True)
def _actions_directory(settings: Any, tmp_path: Path) -> None:
    """Keep the run directories of tests apart: rows that were rolled back leave their numbers to others."""
    settings.ACTIONS_DIRECTORY = tmp_path / "actions"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server."""
    with server() as running:
        yield running


# --- Autosubmit


class MakeExperiment(Protocol):
    """Makes an experiment of a kind of tests/workflows.py and returns its expid."""

    def __call__(self, kind: str, **options: Any) -> str: ...


@pytest.fixture(scope="session")
def autosubmit() -> Path:
    """The real Autosubmit program: that of $AUTOSUBMIT, or the one that `make autosubmit` installs."""
    given = os.environ.get("AUTOSUBMIT")
    if given:
        return Path(given).resolve(strict=True)
    program = REPOSITORY / "var" / "autosubmit-env" / "bin" / "autosubmit"
    if not program.exists():
        subprocess.run(["make", "--silent", "autosubmit", "HOME_DIR=var"], cwd=REPOSITORY, check=True)
    return program


@pytest.fixture(scope="session")
def autosubmit_home(autosubmit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of one Autosubmit for all tests: configured, with its database, and with what tests make in it."""
    from autosubmit_portal.management.demo import Autosubmit
    from tests.services import kill_processes_of

    home = tmp_path_factory.mktemp("autosubmit-home")
    Autosubmit(program=autosubmit, home=home).prepare()
    yield home
    kill_processes_of(home)


@pytest.fixture(scope="session")
def make_experiment(autosubmit: Path, autosubmit_home: Path) -> MakeExperiment:
    """Make real experiments: small, failing, long(sleep=), mixed(sleep=), medium, waiting (has no job list)."""
    from autosubmit_portal.management.demo import Autosubmit
    from tests.workflows import KINDS

    def make(kind: str, **options: Any) -> str:
        workflow = KINDS[kind](**options)
        return workflow.make(Autosubmit(autosubmit, autosubmit_home), generate=kind != "waiting")

    return make


@pytest.fixture
def site(db: None, autosubmit: Path, autosubmit_home: Path) -> Site:
    """The row of the real site of `autosubmit_home`; tests that run no command take factories.create_site()."""
    return factories.create_site(
        slug="local", name="Local", autosubmit=str(autosubmit), home=str(autosubmit_home), is_default=True
    )


# --- People


@pytest.fixture
def actor(db: None) -> Callable[..., User]:
    """Make accounts: actor(Role.OPERATOR) is in the group of that role, actor() in none."""
    return factories.create_user


@pytest.fixture
def viewer(actor: Callable[..., User]) -> User:
    """Somebody who may look."""
    return actor(Role.VIEWER, username="viewer")


@pytest.fixture
def operator(actor: Callable[..., User]) -> User:
    """Somebody who may start and stop."""
    return actor(Role.OPERATOR, username="operator")


@pytest.fixture
def manager(actor: Callable[..., User]) -> User:
    """Somebody who may do everything that a role allows."""
    return actor(Role.MANAGER, username="manager")


@pytest.fixture
def api(db: None) -> Callable[..., APIClient]:
    """Make clients of the API: api(user) calls with a token of that user, api() calls as nobody."""

    def client(user: User | None = None) -> APIClient:
        made = APIClient()
        if user:
            made.credentials(HTTP_AUTHORIZATION=f"Bearer {factories.create_token(user)}")
        return made

    return client
