"""`manage.py bootstrap`: a new portal gets what it needs once, and an old one stays as it is."""

import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from autosubmit_portal.access.models import ApiToken
from experiments.autosubmit.store import locate, read_experiments
from experiments.models import Site
from tests.support import factories
from tests.support.services import kill_processes_of

# Autosubmit makes a store meanwhile: PostgreSQL ends a transaction with an entry that is idle for a minute.
pytestmark = pytest.mark.django_db(transaction=True)
Bootstrap = Callable[..., str]


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """A PORTAL_HOME of its own."""
    settings.PORTAL_HOME = tmp_path
    yield tmp_path
    kill_processes_of(tmp_path / "autosubmit-home")


@pytest.fixture
def bootstrap(home: Path, autosubmit: Path) -> Bootstrap:
    """Run the command and return what it printed."""

    def run(**options: Any) -> str:
        with closing(StringIO()) as out:
            call_command("bootstrap", **{"autosubmit": autosubmit} | options, stdout=out)
            return out.getvalue()

    return run


def _credentials(home: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (home / "credentials").read_text().splitlines())


def test_a_new_portal_gets_a_site_two_experiments_and_an_account(bootstrap: Bootstrap, home: Path) -> None:
    said = bootstrap()
    store = locate(home / "autosubmit-home")
    assert [record.expid for record in read_experiments(store)] == ["a000", "a001"]
    assert Site.objects.get().home == str(home / "autosubmit-home")
    assert User.objects.get(is_superuser=True).check_password(_credentials(home)["password"])
    assert _credentials(home)["password"] in said

    before = (home / "credentials").stat()
    assert bootstrap() == "Everything is set up already; nothing was changed.\n"
    assert (home / "credentials").stat() == before
    assert len(read_experiments(store)) == 2


def test_a_given_store_is_served_as_it_is(bootstrap: Bootstrap, autosubmit_home: Path) -> None:
    before = read_experiments(locate(autosubmit_home))
    bootstrap(store=autosubmit_home)
    assert Site.objects.get().home == str(autosubmit_home)
    assert read_experiments(locate(autosubmit_home)) == before
    assert "nothing was changed" in bootstrap(store=autosubmit_home)
    assert "nothing was changed" in bootstrap()


def test_the_credentials_are_private_and_hold_a_token_that_works(
    bootstrap: Bootstrap, home: Path, autosubmit_home: Path
) -> None:
    bootstrap(store=autosubmit_home)
    assert stat.S_IMODE((home / "credentials").stat().st_mode) == 0o600
    assert ApiToken.objects.get().token_key == _credentials(home)["token"][:15]


def test_a_store_without_configuration_is_refused(bootstrap: Bootstrap, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"\.autosubmitrc"):
        bootstrap(store=tmp_path)
    assert not Site.objects.exists()


def test_a_second_store_in_the_same_portal_is_refused(bootstrap: Bootstrap, autosubmit_home: Path) -> None:
    factories.create_site(home="/elsewhere")
    with pytest.raises(CommandError, match="serves /elsewhere already"):
        bootstrap(store=autosubmit_home)


def test_a_missing_program_is_refused_with_the_remedy(bootstrap: Bootstrap) -> None:
    with pytest.raises(CommandError, match="up`, which installs it"):
        bootstrap(autosubmit=Path("/nowhere/autosubmit"))


def test_create_token_prints_a_token_of_the_account(home: Path) -> None:
    user = factories.create_user(username="somebody")
    with closing(StringIO()) as out:
        call_command("create_token", "somebody", name="a script", stdout=out)
        token = out.getvalue().strip()
    made = ApiToken.objects.get(user=user)
    assert (made.name, made.token_key) == ("a script", token[:15])


def test_create_token_for_nobody_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="There is no account “nobody”"):
        call_command("create_token", "nobody", name="a script")
