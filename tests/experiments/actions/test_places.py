"""At which of several hosts the commands of actions run: one runs experiments, the other does all else.

Both are this host, by two names; the commands are those of a stand-in for Autosubmit.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments.actions.action_request import ActionRequest
from experiments.actions.batches import request_action
from experiments.actions.call_empty import call_empty
from experiments.actions.checks import find_obstacles
from experiments.actions.execute import execute
from experiments.actions.follow import follow
from experiments.actions.places import find_run_host
from experiments.actions.preview import preview_action
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.catalogue.kinds import CATALOGUE
from experiments.mirror import sync
from experiments.models import Action, Experiment, Host, Site, State, annotate_active_action
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.services import kill_processes_of
from tests.support.stand_in import StandIn
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

# As at a department with hosts that only run.
RULES = """
[hosts]
authorized = [run runs1,runs2] [stats,clean all]
forbidden = [expid,create,recovery,setstatus runs1,runs2]
"""
RUNS, OTHER = "runs", "other"


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    made = StandIn.install(tmp_path)
    with (made.home / ".autosubmitrc").open("a") as rc:
        rc.write(RULES)
    yield made
    kill_processes_of(made.home)


@pytest.fixture
def site(stand_in: StandIn, hosts_here: InProcessHosts) -> Site:
    """A site with a host that only runs, and after it one that does all else."""
    made = factories.create_site(autosubmit=str(stand_in.program), home=str(stand_in.home))
    made.hosts.update(name=RUNS)
    Host.objects.create(site=made, name=OTHER, position=1)
    hosts_here.nodes = {RUNS: "runs1.example.org", OTHER: "login1"}
    return made


@pytest.fixture
def experiment(site: Site, stand_in: StandIn) -> Experiment:
    adopted = sync.adopt(site, stand_in.make_experiment())
    assert adopted is not None
    return adopted


@pytest.fixture
def leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a worker that has started something leave it at once."""
    monkeypatch.setattr("experiments.actions.execute.LONG_COMMAND_SECONDS", 0.0)
    monkeypatch.setattr("experiments.actions.execute.SHORT_COMMAND_SECONDS", 0.0)


def make_request(experiment: Experiment, kind: str, actor: User | None = None, **parameters: Any) -> ActionRequest:
    actor = actor or factories.create_administrator()
    return ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
        kind=CATALOGUE[kind],
        site=experiment.site,
        experiment=annotate_active_action().get(pk=experiment.pk),
        parameters=parameters,
        reason="A test",
    )


def request(experiment: Experiment, kind: str, **parameters: Any) -> Action:
    return request_action(make_request(experiment, kind, **parameters))


def executed(action: Action) -> Action:
    execute(action.pk)
    action.refresh_from_db()
    return action


def leave(hosts: InProcessHosts, name: str) -> None:
    hosts.away[name] = "The link is down."


def forbid_everywhere(stand_in: StandIn, command: str) -> None:
    rc = stand_in.home / ".autosubmitrc"
    rc.write_text(rc.read_text().replace("setstatus runs1,runs2]", f"setstatus runs1,runs2] [{command} all]"))


# --- Rules


def test_each_command_goes_to_the_first_host_that_may_run_it(
    experiment: Experiment, hosts_here: InProcessHosts, site: Site
) -> None:
    executed(request(experiment, "generate"))
    executed(request(experiment, "update_description", description="New"))
    run = executed(request(experiment, "run"))
    assert hosts_here.asked == [(OTHER, "create"), (RUNS, "updatedescrip"), (RUNS, "run")]
    assert run.state == State.SUCCEEDED
    assert [step.host.name for step in run.steps.all()] == [RUNS]


def test_a_restart_recovers_at_one_host_and_runs_at_another(experiment: Experiment, hosts_here: InProcessHosts) -> None:
    assert executed(request(experiment, "restart")).state == State.SUCCEEDED
    assert hosts_here.asked == [(OTHER, "recovery"), (RUNS, "run")]


def test_an_experiment_is_created_where_that_may_be(site: Site, hosts_here: InProcessHosts) -> None:
    actor = factories.create_administrator()
    made = ActionRequest(
        actor=actor,
        origin=Origin.make(actor, door=Door.API),
        kind=CATALOGUE["create"],
        site=site,
        parameters={"description": "New"},
    )
    assert executed(request_action(made)).state == State.SUCCEEDED
    assert hosts_here.asked == [(OTHER, "expid")]


def test_what_no_host_may_run_is_refused_with_who_refuses_it(experiment: Experiment, stand_in: StandIn) -> None:
    forbid_everywhere(stand_in, "create")
    with pytest.raises(Conflict, match="`autosubmit create` cannot run here") as refusal:
        request(experiment, "generate")
    assert "does not allow it on runs (runs1.example.org), other (login1)" in str(refusal.value)
    with pytest.raises(Conflict, match="cannot run here"):
        preview_action(make_request(experiment, "generate"))
    assert AuditEntry.objects.filter(event="action.refused").count() == 1


def test_a_restart_is_refused_when_nobody_may_do_its_second_step(experiment: Experiment, stand_in: StandIn) -> None:
    rc = stand_in.home / ".autosubmitrc"
    rc.write_text(rc.read_text().replace("[run runs1,runs2]", "[run elsewhere]"))
    with pytest.raises(Conflict, match="`autosubmit run` cannot run here"):
        request(experiment, "restart")


def test_a_button_is_off_for_what_no_host_may_run(experiment: Experiment, site: Site) -> None:
    site.hosts.update(refused=["run"])
    obstacles = find_obstacles(make_request(experiment, "run"), [CATALOGUE["run"], CATALOGUE["generate"]])
    assert obstacles["generate"] is None
    assert "`autosubmit run` cannot run here" in str(obstacles["run"])


def test_hosts_are_asked_anew_what_they_may_run_after_a_minute(
    experiment: Experiment, stand_in: StandIn, site: Site
) -> None:
    preview_action(make_request(experiment, "generate"))
    forbid_everywhere(stand_in, "create")
    preview_action(make_request(experiment, "generate"))
    site.hosts.update(rules_asked_at=timezone.now() - timedelta(minutes=2))
    with pytest.raises(Conflict):
        preview_action(make_request(experiment, "generate"))


def test_hosts_are_asked_anew_when_a_start_was_refused(experiment: Experiment, stand_in: StandIn) -> None:
    action = request(experiment, "generate")
    forbid_everywhere(stand_in, "create")
    assert "does not let login1 run 'create'" in executed(action).message
    with pytest.raises(Conflict):
        request(experiment, "generate")


def test_what_no_host_may_run_any_more_fails_before_its_command(
    experiment: Experiment, stand_in: StandIn, site: Site, hosts_here: InProcessHosts
) -> None:
    action = request(experiment, "generate")
    forbid_everywhere(stand_in, "create")
    site.hosts.update(rules_asked_at=None)
    assert executed(action).state == State.FAILED
    assert (hosts_here.asked, "cannot run here" in action.message) == ([], True)


def test_what_a_host_that_does_not_answer_has_said_before_holds(
    experiment: Experiment, site: Site, hosts_here: InProcessHosts
) -> None:
    preview_action(make_request(experiment, "generate"))
    site.hosts.update(rules_asked_at=None)
    leave(hosts_here, OTHER)
    site.hosts.update(called_empty_at=timezone.now())
    preview_action(make_request(experiment, "generate"))
    assert site.hosts.get(name=OTHER).refused == ["run"]


# --- Hosts that are away


def test_another_host_takes_what_the_first_cannot(
    experiment: Experiment, site: Site, hosts_here: InProcessHosts
) -> None:
    leave(hosts_here, RUNS)
    executed(request(experiment, "update_description", description="New"))
    assert hosts_here.asked == [(OTHER, "updatedescrip")]


def test_what_only_a_host_that_is_away_may_run_waits_and_lets_others_past(
    experiment: Experiment, site: Site, hosts_here: InProcessHosts, stand_in: StandIn
) -> None:
    other = sync.adopt(site, stand_in.make_experiment())
    assert other
    preview_action(make_request(experiment, "run"))
    leave(hosts_here, RUNS)
    waiting, next_one = request(experiment, "run"), request(other, "update_description", description="New")
    assert executed(waiting).message.startswith("Waits for its host. The host runs has been away")
    next_one.refresh_from_db()
    assert (waiting.state, next_one.state) == (State.QUEUED, State.SUCCEEDED)


def test_a_second_step_waits_for_its_host(
    experiment: Experiment, hosts_here: InProcessHosts, stand_in: StandIn, leaves_at_once: None
) -> None:
    stand_in.hold("recovery")
    action = executed(request(experiment, "restart"))
    leave(hosts_here, RUNS)
    Host.objects.update(called_empty_at=timezone.now())
    stand_in.release()
    wait_for(lambda: follow(action) or "Waits for its host" in Action.objects.get(pk=action.pk).message)
    action.refresh_from_db()
    assert (action.state, action.step) == (State.RUNNING, 0)
    hosts_here.away.clear()
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    assert (action.state, hosts_here.asked[-1]) == (State.SUCCEEDED, (RUNS, "run"))


# --- Runs


def test_a_stop_goes_to_the_host_of_our_run(
    experiment: Experiment, hosts_here: InProcessHosts, stand_in: StandIn, site: Site, leaves_at_once: None
) -> None:
    site.hosts.filter(name=OTHER).update(position=0)
    site.hosts.filter(name=RUNS).update(position=1)
    stand_in.hold("run")
    executed(request(experiment, "run"))
    wait_for(lambda: is_running(experiment))
    stop = request(experiment, "stop")
    execute(stop.pk)
    wait_for(lambda: follow(stop))
    assert hosts_here.asked == [(RUNS, "run"), (RUNS, "stop")]


def is_running(experiment: Experiment) -> bool:
    sync.refresh(experiment)
    experiment.refresh_from_db()
    return experiment.is_running


@pytest.mark.parametrize(("seen_at", "goes_to"), [(OTHER, OTHER), (RUNS, RUNS), (None, RUNS)])
def test_a_stop_goes_where_a_run_from_outside_was_seen(
    experiment: Experiment, site: Site, seen_at: str | None, goes_to: str
) -> None:
    experiment.run_host = site.hosts.filter(name=seen_at).first()
    assert find_run_host(experiment, [*site.hosts.all()]).name == goes_to


def test_a_stop_waits_for_the_host_of_the_run_whoever_else_is_there(
    experiment: Experiment, site: Site, hosts_here: InProcessHosts
) -> None:
    Experiment.objects.update(is_running=True, run_host=site.hosts.get(name=RUNS))
    leave(hosts_here, RUNS)
    stop = executed(request(experiment, "stop"))
    assert (stop.state, hosts_here.asked) == (State.QUEUED, [])
    assert stop.message.startswith("Waits for its host. The host runs has been away")


def test_a_stop_that_waits_for_its_host_lets_others_past(
    experiment: Experiment, site: Site, hosts_here: InProcessHosts, stand_in: StandIn
) -> None:
    other = sync.adopt(site, stand_in.make_experiment())
    assert other
    for of, name in ((experiment, RUNS), (other, OTHER)):
        Experiment.objects.filter(pk=of.pk).update(is_running=True, run_host=site.hosts.get(name=name))
    leave(hosts_here, RUNS)
    first = request(experiment, "stop")
    request(other, "stop")
    executed(first)
    assert hosts_here.asked == [(OTHER, "stop")]


# --- Silent hosts


SILENT = ["run", "restart", "generate"]


@pytest.fixture
def silent(experiment: Experiment, site: Site, hosts_here: InProcessHosts) -> Host:
    """A third host, which may run and is silent."""
    hosts_here.nodes["runs-2"] = "runs2"
    host = Host.objects.create(site=site, name="runs-2", position=2)
    preview_action(make_request(experiment, "run"))
    leave(hosts_here, "runs-2")
    return host


@pytest.mark.parametrize("kind", SILENT)
def test_what_a_run_forbids_is_refused_while_one_may_live_unseen(
    experiment: Experiment, silent: Host, kind: str
) -> None:
    with pytest.raises(Conflict, match=r"The host runs-2 has not been seen since .* a run of .* may live there"):
        request(experiment, kind)


def test_what_a_run_does_not_forbid_goes_on(experiment: Experiment, silent: Host) -> None:
    assert executed(request(experiment, "update_description", description="New")).state == State.SUCCEEDED


def test_a_host_that_may_not_run_hides_no_run(experiment: Experiment, silent: Host) -> None:
    Host.objects.filter(pk=silent.pk).update(refused=["run"])
    assert executed(request(experiment, "run")).state == State.SUCCEEDED


def test_a_host_that_becomes_silent_while_an_action_waits_holds_it_off(
    experiment: Experiment, silent: Host, hosts_here: InProcessHosts
) -> None:
    hosts_here.away.clear()
    action = request(experiment, "run")
    leave(hosts_here, "runs-2")
    assert executed(action).state == State.FAILED
    assert (hosts_here.asked, "may live there" in action.message) == ([], True)


def say_empty(host: Host, actor: User, reason: str = "It has no power.") -> None:
    call_empty(host, actor=actor, origin=Origin.make(actor, door=Door.API), reason=reason)


def test_a_manager_says_that_no_run_lives_at_a_silent_host(experiment: Experiment, silent: Host, manager: User) -> None:
    say_empty(silent, manager)
    assert executed(request(experiment, "run")).state == State.SUCCEEDED
    entry = AuditEntry.objects.get(event="host.called_empty")
    assert (entry.subject, entry.message, entry.actor_name) == ("host runs-2", "It has no power.", str(manager))


def test_what_was_said_of_a_host_before_it_was_seen_again_holds_no_more(
    experiment: Experiment, silent: Host, manager: User
) -> None:
    say_empty(silent, manager)
    Host.objects.filter(pk=silent.pk).update(called_empty_at=timezone.now() - timedelta(minutes=2))
    with pytest.raises(Conflict, match="may live there"):
        request(experiment, "run")


def test_an_operator_does_not_say_it(silent: Host, operator: User) -> None:
    with pytest.raises(Forbidden, match="call a host empty at"):
        say_empty(silent, operator)
    assert AuditEntry.objects.filter(event="host.call_empty_refused").exists()


def test_it_is_not_said_without_a_reason_or_of_a_host_that_is_there(
    silent: Host, manager: User, hosts_here: InProcessHosts
) -> None:
    with pytest.raises(InvalidParameters):
        say_empty(silent, manager, " ")
    hosts_here.away.clear()
    with pytest.raises(Conflict, match="is connected"):
        say_empty(silent, manager)
