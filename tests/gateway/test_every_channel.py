"""The same on all channels, as the gateway's own account: real accounts, the real sudo, a real sshd, a real proxy."""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent.findings import Level
from autosubmit_portal.gateway.caller import Refused
from autosubmit_portal.gateway.doctor import examine
from autosubmit_portal.gateway.program_channel import KILL_SECONDS
from tests.gateway.gateways import RunningGateway, reached
from tests.support.site_host import CHANNELS, SiteHost
from tests.support.waiting import wait_for

GO_ON = "echo $$; while [ ! -e {}/go ]; do sleep 0.05; done; exit 7"


@pytest.fixture
def key() -> str:
    """Return the key of a command that nobody has started yet."""
    return str(uuid.uuid4())


@pytest.fixture(params=CHANNELS)
def channel(request: pytest.FixtureRequest) -> str:
    """Return the name of a channel."""
    return str(request.param)


@pytest.fixture
def here(host: SiteHost, place: Path, channel: str) -> Iterator[RunningGateway]:
    """Lend a gateway that has reached the host."""
    with reached(host, place, channel) as made:
        made.wait_for_host()
        yield made


def test_a_command_runs_as_the_account_of_its_channel(
    here: RunningGateway, host: SiteHost, channel: str, key: str
) -> None:
    here.start("-c", "id -un; echo $SITE; exit 88", key=key)
    assert wait_for_end(here, key)["exit_status"] == 88
    account = host.gateway if channel == "local" else host.site
    assert here.read_output(key) == f"{account}\nes\n".encode()


def test_a_command_is_ended(here: RunningGateway, key: str) -> None:
    here.start("-c", "echo up; exec sleep 600", key=key)
    here.wait_for_output(key=key)
    here.ask("end", key=key)
    assert wait_for_end(here, key)["exit_status"] == 128 + signal.SIGTERM


def test_a_key_that_was_given_up_starts_nothing(here: RunningGateway, key: str) -> None:
    assert here.ask("give_up", key=key) == {"given_up": True}
    assert here.start("-c", "true", key=key)["outcome"] == "refused"


def test_a_command_that_was_forgotten_is_not_started_again(here: RunningGateway, key: str) -> None:
    here.start("-c", "true", key=key)
    wait_for_end(here, key)
    assert here.ask("forget", key=key) == {"forgotten": True}
    assert here.start("-c", "true", key=key)["outcome"] == "refused"


def test_long_output_arrives_whole(here: RunningGateway, key: str) -> None:
    here.start("-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo end", key=key)
    wait_for_end(here, key)
    assert here.read_output(key) == b"x" * 1_000_000 + b"end\n"


def test_a_command_outlives_its_agent(here: RunningGateway, host: SiteHost, place: Path, key: str) -> None:
    here.start("-c", GO_ON.format(place), key=key)
    here.wait_for_output(key=key)
    for agent in host.find_agents():
        with suppress(ProcessLookupError):  # one of an earlier gateway may just have ended
            os.kill(agent, signal.SIGKILL)
    wait_for(lambda: here.look_if_there(key=key).get("state") == "alive")
    (place / "go").touch()
    assert wait_for_end(here, key)["exit_status"] == 7


def test_the_agent_ends_with_its_gateway_and_the_command_goes_on(
    here: RunningGateway, host: SiteHost, place: Path, channel: str, key: str
) -> None:
    here.start("-c", GO_ON.format(place), key=key)
    here.wait_for_output(key=key)
    here.process.kill()
    here.process.wait()
    wait_for(lambda: not host.find_agents())
    with reached(host, place, channel) as second:
        second.wait_for_host()
        assert second.look(key=key)["state"] == "alive"
        (place / "go").touch()
        assert wait_for_end(second, key)["exit_status"] == 7


def test_an_agent_keeps_the_file_that_it_began_with(here: RunningGateway, host: SiteHost) -> None:
    """Its examination reads modules that it has not read before."""
    began_with = host.agent.readlink()
    try:
        host.agent.unlink()
        host.agent.symlink_to("/dev/null")
        found = {finding.word: finding.level for finding in examine(here.reading, "here")}
    finally:
        host.agent.unlink()
        host.agent.symlink_to(began_with)
    assert found["spool"] is Level.OK


@pytest.mark.parametrize(
    "changes", [{"account": "{portal}"}, {"account": "nobody-at-all"}, {"agent": "/opt/other.pyz"}, {"account": "root"}]
)
def test_what_sudo_does_not_allow_is_told(host: SiteHost, place: Path, changes: dict[str, Any]) -> None:
    changes = {name: value.format(portal=host.portal) for name, value in changes.items()}
    with reached(host, place, "sudo", **changes) as made:
        known = wait_for(made.describe, is_enough=lambda known: "not been reached" not in known["reason"])
    assert known["reason"].startswith("sudo does not let the gateway do this: ")
    assert "Install the rule of docs/operations.md" in known["remedy"]


@pytest.mark.parametrize("name", ["sudo", "websocket"])
def test_a_frozen_agent_of_another_account_is_left_and_another_tells_the_end(
    host: SiteHost, place: Path, key: str, name: str
) -> None:
    """The gateway may not kill it."""
    with reached(host, place, name) as made:
        made.wait_for_host()
        made.start("-c", GO_ON.format(place), key=key)
        made.wait_for_output(key=key)
        frozen = host.find_agent()
        os.kill(frozen, signal.SIGSTOP)
        try:
            wait_for(lambda: not made.describe()["is_connected"])
            (place / "go").touch()
            assert wait_for_end(made, key)["exit_status"] == 7
            wait_for(lambda: made.describe()["for_seconds"] > KILL_SECONDS)
        finally:
            with suppress(ProcessLookupError):  # what calls for it may
                os.kill(frozen, signal.SIGKILL)


@pytest.mark.parametrize("name", ["ssh", "websocket"])
def test_a_link_that_is_cut_for_a_second_costs_nothing(host: SiteHost, place: Path, key: str, name: str) -> None:
    with reached(host, place, name) as made:
        start_and_wait(made, place, key)
        agent = host.find_agent()
        host.use_link(up=False)
        try:
            (place / "go").touch()  # it ends meanwhile
            time.sleep(1)
        finally:
            host.use_link(up=True)
        assert wait_for_end(made, key)["exit_status"] == 7
        assert host.find_agents() == [agent]


@pytest.mark.parametrize(("name", "seconds"), [("ssh", 60), ("websocket", 30)])
def test_a_link_that_is_cut_for_long_loses_neither_the_command_nor_its_end(
    host: SiteHost, place: Path, key: str, name: str, seconds: float
) -> None:
    """The agent has ended meanwhile, and the command too, at which nobody looked."""
    with reached(host, place, name) as made:
        start_and_wait(made, place, key)
        began = time.monotonic()
        host.use_link(up=False)
        try:
            known = wait_for(made.describe, is_enough=lambda known: not known["is_connected"])
            assert known["reason"] == "The other side has said nothing for 20 s."
            with pytest.raises(Refused, match="has been away for"):
                made.look(key=key)
            wait_for(lambda: not host.find_agents())
            (place / "go").touch()
            time.sleep(max(0, seconds - (time.monotonic() - began)))
        finally:
            host.use_link(up=True)
        made.wait_for_host()
        assert wait_for_end(made, key)["exit_status"] == 7


def start_and_wait(made: RunningGateway, place: Path, key: str) -> None:
    """Start a command that ends when it is told to, and wait until it runs."""
    made.wait_for_host()
    made.start("-c", GO_ON.format(place), key=key)
    made.wait_for_output(key=key)


def wait_for_end(made: RunningGateway, key: str) -> Any:
    """Return the look at a command that has ended."""
    return wait_for(lambda: made.look_if_there(key=key), is_enough=lambda look: look.get("state") == "ended")
