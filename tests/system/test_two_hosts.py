"""One site with two hosts on one file system, of which one only runs and the other does all else.

Each has a PID namespace, a network and a name of its own, an agent and a spool; the gateway and Autosubmit are real.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.audit.origin import Door, Origin
from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.agent_archive import write_archive
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.execute import execute
from experiments.actions.follow import follow
from experiments.actions.refusals import Conflict
from experiments.autosubmit.environment import make_environment
from experiments.catalogue.kinds import CATALOGUE
from experiments.hosts import ARRIVAL_SECONDS
from experiments.mirror import sync
from experiments.mirror.site_mirror import SiteMirror
from experiments.models import Action, Experiment, Host, Site, State, annotate_active_action
from tests.conftest import MakeExperiment
from tests.gateway.gateways import RunningGateway, gateway, make_other
from tests.support import factories
from tests.support.namespace_host import NamespaceHost, namespace_host
from tests.support.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.django_db

RUNS, OTHER = "runs1", "login1"
RULES = f"""
[hosts]
authorized = [run {RUNS}] [stats all]
forbidden = [expid,create,recovery,setstatus {RUNS}]
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """The Autosubmit of both hosts, with their rules, and the variables of its commands."""

    program: Path
    home: Path
    configuration: Path
    environment: dict[str, str]


@pytest.fixture
def installed(autosubmit: Path, autosubmit_home: Path, tmp_path: Path) -> Installed:
    rc = tmp_path / "autosubmitrc"
    rc.write_text((autosubmit_home / ".autosubmitrc").read_text() + RULES)
    environment = make_environment(autosubmit, autosubmit_home, tmp_path / "caches", str(rc))
    return Installed(autosubmit, autosubmit_home, rc, environment)


@pytest.fixture
def namespaces() -> Iterator[dict[str, NamespaceHost]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(namespace_host(name)) for name in (RUNS, OTHER)}


@pytest.fixture
def reached(namespaces: dict[str, NamespaceHost], installed: Installed, tmp_path: Path) -> dict[str, Any]:
    """How the gateway reaches each host: the agent there, with a spool that the other has not."""
    agent, reached = write_archive(tmp_path / "agents"), {}
    for name, host in namespaces.items():
        allowed = {
            "program": str(installed.program),
            "spool": str(tmp_path / f"spool-{name}"),
            "umask": "0022",
            "kinds": {kind.name: kind.first_words for kind in CATALOGUE.values()},
            "profiles": {"usual": installed.environment},
            "home": str(installed.home),
            "configuration": str(installed.configuration),
        }
        site_file = tmp_path / f"{name}.json"
        site_file.write_text(json.dumps(allowed))
        reached[name] = make_other(*host.inside(sys.executable, "-I", str(agent), str(site_file)))
    return reached


@pytest.fixture
def site(
    reached: dict[str, Any], installed: Installed, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setattr("experiments.hosts.caller", caller)
    settings.GATEWAY_DIRECTORY, settings.STARTS_GATEWAY = tmp_path, False
    where = {"home": str(installed.home), "configuration": str(installed.configuration)}
    made = factories.create_site(autosubmit=str(installed.program), **where)
    made.hosts.update(name=RUNS)
    Host.objects.create(site=made, name=OTHER, position=1)
    with listening(tmp_path, reached):
        yield made


@contextmanager
def listening(folder: Path, reached: dict[str, Any]) -> Iterator[RunningGateway]:
    """Lend the gateway when it reaches both hosts."""
    with gateway(folder, reached) as made:
        for name in reached:
            made.wait_for_host(name)
        yield made


def adopt(site: Site, expid: str) -> Experiment:
    adopted = sync.adopt(site, expid)
    assert adopted
    return adopted


def request(site: Site, kind: str, experiment: Experiment | None = None, **parameters: Any) -> Action:
    actor = factories.create_administrator()
    asked = ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
        kind=CATALOGUE[kind],
        site=site,
        experiment=experiment and annotate_active_action().get(pk=experiment.pk),
        parameters=parameters,
        reason="A test",
    )
    return request_action(asked)


def do(site: Site, kind: str, experiment: Experiment | None = None, **parameters: Any) -> Action:
    """Have an action done to its end."""
    action = request(site, kind, experiment, **parameters)
    wait_for(lambda: has_ended(action))
    action.refresh_from_db()
    assert action.state == State.SUCCEEDED, action.message
    return action


def has_ended(action: Action) -> bool:
    """Have an action started, unless its host is away for a moment, and look at it."""
    execute(action.pk)
    return follow(action) and action.state != State.QUEUED


def places(action: Action) -> list[str]:
    return [step.host.name for step in action.steps.order_by("number").select_related("host")]


def test_each_command_goes_where_it_may(site: Site, make_experiment: MakeExperiment) -> None:
    created = do(site, "create", description="Two hosts", dummy=True, hpc="LOCAL")
    experiment = adopt(site, make_experiment("waiting"))
    generated = do(site, "generate", experiment)
    run = do(site, "run", experiment)
    experiment.refresh_from_db()
    job = experiment.jobs.order_by("name").first()
    assert job
    changed = do(site, "set_status", experiment, jobs=[job.name], status="WAITING")
    restarted = do(site, "restart", experiment)
    assert [places(action) for action in (created, generated, run, changed)] == [[OTHER], [OTHER], [RUNS], [OTHER]]
    assert places(restarted) == [OTHER, RUNS]


@pytest.fixture
def run(
    site: Site, make_experiment: MakeExperiment, namespaces: dict[str, NamespaceHost], installed: Installed
) -> Iterator[Experiment]:
    """An experiment that somebody runs by hand at the host that runs."""
    experiment = adopt(site, make_experiment("long"))
    command = namespaces[RUNS].inside(str(installed.program), "run", experiment.expid)
    with subprocess.Popen(
        command, env=installed.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        yield experiment
        process.kill()


def is_running(mirror: SiteMirror, experiment: Experiment) -> bool:
    mirror.look()
    experiment.refresh_from_db()
    return experiment.is_running


def test_a_run_of_one_host_is_seen_and_stopped_there(site: Site, run: Experiment) -> None:
    site.hosts.filter(name=OTHER).update(position=0)
    site.hosts.filter(name=RUNS).update(position=1)
    mirror = SiteMirror(site.pk)
    wait_for(lambda: is_running(mirror, run))
    assert run.run_host
    assert (run.run_host.name, f"on {RUNS}" in run.evidence) == (RUNS, True)
    assert places(do(site, "stop", run)) == [RUNS]
    wait_for(lambda: not is_running(mirror, run))


def for_seconds(folder: Path) -> int:
    """Return for how long the gateway has known what it knows of the host that runs."""
    found: int = caller.list_hosts(folder / "reading", PATIENCE)["hosts"][RUNS]["for_seconds"]
    return found


def test_a_run_of_a_host_that_is_silent_is_not_ended_and_nothing_else_is_started(
    site: Site, run: Experiment, make_experiment: MakeExperiment, reached: dict[str, Any], tmp_path: Path
) -> None:
    mirror = SiteMirror(site.pk, is_patient=False)
    wait_for(lambda: is_running(mirror, run))
    other = adopt(site, make_experiment("small"))
    hosts_file = tmp_path / "hosts.json"
    said = json.loads(hosts_file.read_text())
    hosts_file.write_text(json.dumps(said | {"hosts": reached | {RUNS: make_other("false")}}))
    wait_for(lambda: is_running(mirror, run) and "not seen since" in run.evidence)
    # A host that has just been named may only be coming.
    wait_for(lambda: for_seconds(tmp_path) > ARRIVAL_SECONDS)
    with pytest.raises(Conflict, match=f"The host {RUNS} has not been seen since"):
        request(site, "generate", other)
    hosts_file.write_text(json.dumps(said))
    wait_for(lambda: is_running(mirror, run) and "holds the lock" in run.evidence)
