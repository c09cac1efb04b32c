"""Commands that nobody can see: never called ended, failed or lost by themselves, and found again."""

import errno
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from autosubmit_portal.access.rights.policy import Forbidden
from autosubmit_portal.audit.models import AuditEntry
from autosubmit_portal.audit.origin import Door, Origin
from experiments import commands, hosts
from experiments.actions.call_lost import call_lost, may_call_lost
from experiments.actions.execute import claim, execute
from experiments.actions.follow import follow
from experiments.actions.refusals import Conflict, InvalidParameters
from experiments.actions.start import start_step
from experiments.actions.supervise import supervise
from experiments.models import Action, Experiment, State, Step
from experiments.reads import HostAway
from tests.support import factories
from tests.support.in_process_host import InProcessHosts
from tests.support.kinds import ANY_COMMAND
from tests.support.steps import find_directory
from tests.support.waiting import wait_for

pytestmark = pytest.mark.django_db

REASON = "The host was switched off for good."


@pytest.fixture(autouse=True)
def _no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no store behind the experiments of factories."""
    monkeypatch.setattr("experiments.mirror.sync.adopt", lambda site, expid: None)


def queued(*words: str) -> Action:
    experiment = factories.create_experiment(factories.create_site(autosubmit=ANY_COMMAND))
    return factories.create_action(
        experiment, kind="update_description", command=[[ANY_COMMAND, "updatedescrip", *words]]
    )


def started(*words: str) -> Action:
    action = claim(queued(*words).pk)
    assert action is not None
    start_step(action, 0)
    return action


def leave(action: Action, hosts: InProcessHosts) -> None:
    """Let the host of an action go away."""
    hosts.away[str(action.site.hosts.get())] = "The link is down."


def unseen(action: Action, hosts: InProcessHosts) -> Action:
    leave(action, hosts)
    assert not follow(action)
    action.refresh_from_db()
    return action


def origin_of(actor: User) -> Origin:
    return Origin.make(actor, door=Door.API)


def events() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("event", flat=True))


def test_a_command_whose_host_is_away_is_not_seen_and_nothing_else_is_said_of_it(hosts_here: InProcessHosts) -> None:
    action = unseen(started("true"), hosts_here)
    Action.objects.update(step_started_at=timezone.now() - timedelta(days=1))
    assert not follow(action)
    action.refresh_from_db()
    assert (action.state, action.unseen_since is None) == (State.RUNNING, False)
    assert action.message.endswith("UTC: The link is down.")


def test_a_command_that_is_seen_again_goes_on_to_its_end(hosts_here: InProcessHosts) -> None:
    action = unseen(started("sh", "-c", "exit 3"), hosts_here)
    hosts_here.away.clear()
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    assert (action.state, action.exit_status, action.unseen_since) == (State.FAILED, 3, None)


def test_a_command_that_lives_and_is_seen_again_says_no_more_that_it_is_not_seen(hosts_here: InProcessHosts) -> None:
    action = unseen(started("sleep", "60"), hosts_here)
    hosts_here.away.clear()
    assert not follow(action)
    action.refresh_from_db()
    assert (action.message, action.unseen_since) == ("", None)


def test_a_start_that_is_not_answered_is_no_failure(hosts_here: InProcessHosts) -> None:
    hosts_here.unanswered = {"start"}
    action = started("sh", "-c", "exit 4")
    action.refresh_from_db()
    assert (action.state, action.unseen_since is None) == (State.RUNNING, False)
    wait_for(lambda: follow(action))
    action.refresh_from_db()
    assert (action.state, action.exit_status, action.steps.count()) == (State.FAILED, 4, 1)


def test_a_start_that_never_reached_its_host_has_failed(hosts_here: InProcessHosts) -> None:
    action = claim(queued("true").pk)
    assert action is not None
    leave(action, hosts_here)
    start_step(action, 0)
    action.refresh_from_db()
    assert (action.state, action.message) == (State.FAILED, "The command could not be started: The link is down.")


def test_a_command_that_could_not_start_on_a_full_disk_has_failed_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("autosubmit_portal.agent.spool.Spool._make", Mock(side_effect=full))
    action = started("true")
    action.refresh_from_db()
    assert action.state == State.FAILED
    assert action.message.startswith("The command could not be started: The agent cannot write in ")
    assert action.message.endswith(": No space left on device. Make room there, then request the action again.")


def test_nothing_is_claimed_while_its_host_is_away(hosts_here: InProcessHosts) -> None:
    action = queued("true")
    leave(action, hosts_here)
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, action.started_at) == (State.QUEUED, None)
    assert action.message.startswith("Waits for its host. ")


def silence_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the host be connected and answer nothing that is asked of the store: its link was cut just now."""
    monkeypatch.setattr("experiments.mirror.sync.adopt", Mock(side_effect=HostAway("The link is down.")))


def test_what_waits_goes_on_waiting_when_its_host_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    action = queued("true")
    silence_store(monkeypatch)
    execute(action.pk)
    action.refresh_from_db()
    assert (action.state, action.message) == (State.QUEUED, "Waits for its host. The link is down.")


def test_what_has_ended_and_cannot_be_confirmed_for_now_has_neither_failed_nor_succeeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    action = started("true")
    Action.objects.update(kind="stop")
    Experiment.objects.update(is_running=True)
    wait_for(lambda: commands.look(action.steps.get()).exit_status is not None)
    action = Action.objects.get()
    with monkeypatch.context() as cut:
        silence_store(cut)
        assert not follow(action)
    action.refresh_from_db()
    assert (action.state, action.message.endswith("The link is down.")) == (State.RUNNING, True)
    Experiment.objects.update(is_running=False)
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, action.exit_status, action.unseen_since) == (State.SUCCEEDED, 0, None)


def test_a_command_on_another_host_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    action = started("sleep", "60")
    pid = find_directory(action) / "pid"
    wait_for(pid.exists)
    here = pid.read_text()
    pid.write_text(" ".join([*here.split()[:2], "another-machine", "another-boot", "1"]))
    assert not follow(action)
    action.refresh_from_db()
    assert "another host" in action.message
    pid.write_text(here)


def test_each_step_has_a_key_of_its_own() -> None:
    one, other = started("true"), started("true")
    assert one.steps.get().key != other.steps.get().key


@pytest.mark.parametrize("age", [timedelta(minutes=1), timedelta(days=1)])
def test_what_had_ended_before_the_database_was_restored_is_lost_and_blocks_nothing(age: timedelta) -> None:
    action = started("true")
    wait_for(lambda: commands.look(action.steps.get()).exit_status is not None)
    hosts.act(action.site.hosts.get(), "forget", {"key": action.steps.get().key})
    Action.objects.update(step_started_at=timezone.now() - age)
    assert follow(action)
    action.refresh_from_db()
    assert (action.state, "has ended, but how is not known" in action.message) == (State.LOST, True)


# --- Calling it lost


def test_only_a_manager_calls_a_command_lost(operator: User, manager: User, hosts_here: InProcessHosts) -> None:
    action = unseen(started("true"), hosts_here)
    assert (may_call_lost(action, operator), may_call_lost(action, manager)) == (False, True)
    with pytest.raises(Forbidden, match="call_action_lost"):
        call_lost(action, actor=operator, origin=origin_of(operator), reason=REASON)
    assert "action.call_lost_refused" in events()


def test_a_command_that_is_seen_is_not_called_lost(manager: User) -> None:
    action = started("sleep", "60")
    with pytest.raises(Conflict, match="is seen"):
        call_lost(action, actor=manager, origin=origin_of(manager), reason=REASON)


def test_who_calls_a_command_lost_says_why(manager: User, hosts_here: InProcessHosts) -> None:
    action = unseen(started("true"), hosts_here)
    with pytest.raises(InvalidParameters):
        call_lost(action, actor=manager, origin=origin_of(manager), reason=" ")


def test_a_command_that_was_called_lost_never_starts_when_its_host_is_back(
    manager: User, hosts_here: InProcessHosts
) -> None:
    action = claim(queued("true").pk)
    assert action is not None
    host = action.site.hosts.get()
    Step.objects.create(action=action, number=0, key="7d1f6c9a-84f1-4b7e-a6c4-54f2b1f0a001", host=host)
    Action.objects.update(step_started_at=timezone.now())
    action = unseen(action, hosts_here)
    call_lost(action, actor=manager, origin=origin_of(manager), reason=REASON)
    action.refresh_from_db()
    assert (action.state, REASON in action.message, events()[-1]) == (State.LOST, True, "action.lost")
    supervise(action.site.queue)
    assert Step.objects.exclude(given_up_at=None).exists()
    hosts_here.away.clear()
    supervise(action.site.queue)
    assert not Step.objects.exclude(given_up_at=None).exists()
    assert (find_directory(action) / "pid").read_text() == "given up"


def test_the_trail_tells_when_what_was_called_lost_had_started(manager: User, hosts_here: InProcessHosts) -> None:
    action = started("sleep", "60")
    wait_for((find_directory(action) / "pid").exists)
    call_lost(unseen(action, hosts_here), actor=manager, origin=origin_of(manager), reason=REASON)
    hosts_here.away.clear()
    supervise(action.site.queue)
    assert events()[-1] == "action.found_started"


@pytest.mark.parametrize(("chosen", "procedure"), [([], "command"), (["run"], "command"), (["generate"], "package")])
def test_the_procedure_of_a_command_is_the_one_of_its_kind(
    hosts_here: InProcessHosts, monkeypatch: pytest.MonkeyPatch, chosen: list[str], procedure: str
) -> None:
    asked: list[dict[str, Any]] = []
    ask = hosts_here.ask

    def noting(place: Path, host: str, name: str, arguments: dict[str, Any], seconds: float, **how: bool) -> Any:
        asked.append(arguments)
        return ask(place, host, name, arguments, seconds, **how)

    monkeypatch.setattr(hosts_here, "ask", noting)
    site = factories.create_site(autosubmit=ANY_COMMAND, package_kinds=chosen)
    command = [[ANY_COMMAND, "create", "true"]]
    action = claim(factories.create_action(factories.create_experiment(site), kind="generate", command=command).pk)
    assert action is not None
    start_step(action, 0)
    assert [request["procedure"] for request in asked if "procedure" in request] == [procedure]
    assert [request["person"] for request in asked if "person" in request] == [action.actor_name]
