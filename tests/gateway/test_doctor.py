"""The examination of a host from the portal: what keeps it away, what its agent finds, and its clock."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosubmit_portal.agent.findings import Finding, Level
from autosubmit_portal.gateway.doctor import examine
from tests.gateway.gateways import RunningGateway, gateway, make_liar, make_local, make_other, reached
from tests.support.site_host import CHANNELS, PYTHON, SiteHost
from tests.support.waiting import wait_for

SECTIONS = ("database", "local", "structures", "historicdb")
# Answers the examination with what is put in place of %s.
ANSWER = """
from autosubmit_portal.agent.protocol import Request
from autosubmit_portal.agent.stream import Stream
made = Server({"account": "liar"}, time.monotonic())
stream = Stream(made, 0, 1)
while not made.is_closed:
    for event in stream.read(time.monotonic()):
        if isinstance(event, Request) and event.name == "doctor":
            clock = event.arguments["clock"]
            made.answer(event.channel, %s)
    stream.write()
    time.sleep(0.02)
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[RunningGateway]:
    with gateway(tmp_path, {"here": make_local(tmp_path / "site")}) as made:
        made.wait_for_host()
        yield made


def test_what_the_agent_finds_is_told_to_who_may_only_read(here: RunningGateway) -> None:
    findings = {finding.word: finding for finding in examine(here.reading, "here")}
    assert findings["channel"].text.startswith("Open for ")
    assert (findings["spool"].level, findings["clock"].level) == (Level.OK, Level.OK)
    assert findings["program"].level is Level.FAIL  # a shell is no Autosubmit


def test_it_is_told_that_there_are_no_walls(here: RunningGateway) -> None:
    (walls,) = (finding for finding in examine(here.reading, "here") if finding.word == "walls")
    assert walls.level is Level.WARN
    assert "what experiments bring along reads its secrets" in walls.text
    assert "sudo or ssh" in walls.remedy


@pytest.mark.parametrize("channel", CHANNELS)
def test_there_are_walls_where_the_accounts_differ(host: SiteHost, place: Path, channel: str) -> None:
    with reached(host, place, channel) as made:
        made.wait_for_host()
        (walls,) = (finding for finding in examine(made.reading, "here") if finding.word == "walls")
    assert walls.level is (Level.WARN if channel == "local" else Level.OK)


def test_a_gateway_that_is_not_there_is_told(tmp_path: Path) -> None:
    (finding,) = examine(tmp_path / "nowhere", "here")
    assert (finding.word, finding.level) == ("gateway", Level.FAIL)
    assert "systemctl start" in finding.remedy


def test_a_host_that_the_gateway_does_not_know_is_told(here: RunningGateway) -> None:
    (finding,) = examine(here.reading, "there")
    assert finding.text == "The gateway knows no host there."


def test_why_a_host_is_away_is_told_with_the_remedy(tmp_path: Path) -> None:
    host = make_other("/bin/sh", "-c", "echo 'Permission denied (publickey,password).' >&2; exit 255")
    with gateway(tmp_path, {"here": host}) as made:
        wait_for(lambda: "refuse" in made.describe()["reason"] or "take" in made.describe()["reason"])
        (finding,) = examine(made.reading, "here")
    assert "The host does not take the gateway's key: Permission denied (publickey,password)." in finding.text
    assert "authorized_keys" in finding.remedy


@pytest.mark.parametrize(
    ("ahead", "level", "text"),
    [
        (7200, Level.WARN, "ahead of that of the portal"),
        (-7200, Level.WARN, "behind that of the portal"),
        (1, Level.OK, "agrees"),
    ],
)
def test_a_clock_that_is_wrong_is_told(tmp_path: Path, ahead: int, level: Level, text: str) -> None:
    clock = ask_liar(tmp_path, f"{{'findings': [], 'clock': [clock, int(1000 * (time.time() + {ahead}))]}}")[-1]
    assert (clock.word, clock.level, text in clock.text) == ("clock", level, True)


@pytest.mark.parametrize("answer", ["{}", "{'findings': [{}]}", "{'findings': [], 'clock': 'now'}"])
def test_an_agent_that_says_nonsense_is_told(tmp_path: Path, answer: str) -> None:
    last = ask_liar(tmp_path, answer)[-1]
    assert (last.word, last.level, "is not understood" in last.text) == ("agent", Level.FAIL, True)


def ask_liar(folder: Path, answer: str) -> list[Finding]:
    """Return the findings when the agent answers so."""
    with gateway(folder, {"here": make_liar(ANSWER % answer)}) as made:
        made.wait_for_host()
        return examine(made.reading, "here")


def test_rights_that_the_account_of_the_site_does_not_have_are_told(host: SiteHost, place: Path) -> None:
    """The store belongs to root."""
    home, file = place / "home", place / "agent.json"
    home.mkdir()
    home.chmod(0o755)
    (home / ".autosubmitrc").write_text("".join(f"[{name}]\npath={home}\n" for name in SECTIONS))
    (home / "autosubmit.db").touch()
    changes = {"home": str(home), "program": str(home / "autosubmit.db")}
    file.write_text(json.dumps(json.loads(host.site_file.read_text()) | changes))
    with gateway(place, {"here": host.reach("ssh", site_file=str(file))}, PYTHON, **host.as_gateway()) as made:
        made.wait_for_host()
        wrong = [finding.text for finding in examine(made.reading, "here") if finding.level is Level.FAIL]
    assert wrong == [
        f"{host.site} may not write in {home}.",
        f"{host.site} may not write the database {home}/autosubmit.db.",
        f"There is no program {home}/autosubmit.db that {host.site} may run.",
    ]
