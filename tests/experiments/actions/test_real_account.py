"""The real Autosubmit as another Unix account: its experiment runs as that account, and is stopped as that account."""

import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from autosubmit_portal.access.models import SiteAccount
from autosubmit_portal.access.roles import Role
from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.management.demo import Autosubmit
from experiments import commands
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.follow import follow
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Site, State
from experiments.models.site import RunAs
from tests.support import factories
from tests.support.services import prepare
from tests.support.unix_accounts import Accounts, end_processes_of, unix_accounts
from tests.support.waiting import wait_for
from tests.support.workflows import KINDS

pytestmark = pytest.mark.django_db


@pytest.fixture
def accounts(autosubmit: Path) -> Iterator[Accounts]:
    with unix_accounts() as made:
        tried = ["sudo", "-n", "-u", made.person, "--", str(autosubmit), "--version"]
        if subprocess.run(tried, capture_output=True, check=False).returncode:
            pytest.skip(f"other accounts cannot reach {autosubmit}")
        yield made


@pytest.fixture
def theirs(autosubmit: Path, accounts: Accounts) -> Iterator[Experiment]:
    """An experiment of the person, whose simulation takes long, in a store that is theirs."""
    home = Path(tempfile.mkdtemp(prefix="store", dir="/tmp"))
    try:
        program = Autosubmit(autosubmit, home)
        prepare(program)
        expid = KINDS["long"]().make(program)
        home.chmod(0o755)
        subprocess.run(["chown", "-R", accounts.person, home], check=True)
        site = factories.create_site(slug="local", autosubmit=autosubmit, home=home, run_as=RunAs.ACTOR)
        experiment = sync.adopt(site, expid)
        assert experiment
        yield experiment
    finally:
        end_processes_of(accounts.person)  # they write there
        shutil.rmtree(home)


def ask(actor: User, kind: str, experiment: Experiment) -> Action:
    origin, site = Origin.make(actor, door=Door.API), Site.objects.get()
    request = ActionRequest(
        actor=actor, origin=origin, kind=CATALOGUE[kind], site=site, experiment=experiment, parameters={}
    )
    return request_action(request)


def lives(experiment: Experiment) -> bool:
    sync.refresh(experiment)
    experiment.refresh_from_db()
    return experiment.is_running


def ended(action: Action) -> Action:
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    return action


def test_a_run_is_the_persons_and_whoever_may_stop_it_stops_it(
    theirs: Experiment, accounts: Accounts, operator: User, actor: Callable[..., User]
) -> None:
    SiteAccount.objects.create(user=operator, site=theirs.site, unix_name=accounts.person)
    run = ask(operator, "run", theirs)
    execute(run.pk)
    wait_for(lambda: lives(theirs) or follow(run))
    assert theirs.is_running, commands.read_text(commands.find_step(run, 0))
    pid = theirs.evidence.split()[1]
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(accounts.person).pw_uid

    stop = ask(actor(Role.OPERATOR), "stop", theirs)
    execute(stop.pk)
    assert ended(stop).state == State.SUCCEEDED, stop.message
    assert (ended(run).state, run.exit_status) == (State.CANCELLED, 88)
