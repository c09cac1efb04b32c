"""A gateway between callers and agents: it passes on, says what it does not know, and survives whoever lies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from autosubmit_portal.agent.protocol import Client, Failure, Hello
from autosubmit_portal.agent.protocol.limits import SILENCE_SECONDS
from autosubmit_portal.agent.stream import Stream
from autosubmit_portal.gateway import caller
from autosubmit_portal.gateway.caller import Refused, Unanswered
from autosubmit_portal.gateway.hosts import BadHostsFileError, read_hosts
from autosubmit_portal.gateway.program_channel import LONGEST_PAUSE_SECONDS, ProgramChannel
from autosubmit_portal.gateway.service import ANSWER_SECONDS
from tests.agent.agents import KEY, PORTAL
from tests.gateway.gateways import RunningGateway, gateway, make_liar, make_local, make_other
from tests.support import fuzz
from tests.support.waiting import PATIENCE, wait_for

GO_ON = "while [ ! -e {}/go ]; do sleep 0.05; done; exit 7"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[RunningGateway]:
    with gateway(tmp_path, {"here": make_local(tmp_path / "site")}) as made:
        made.wait_for_host()
        yield made


@pytest.mark.parametrize("name", ["reading", "acting"])
def test_a_gateway_that_nobody_finds_any_more_ends(tmp_path: Path, name: str) -> None:
    places = {name: str(tmp_path / name) for name in ("reading", "acting")}
    (tmp_path / "hosts.json").write_text(json.dumps({"portal": PORTAL, **places, "hosts": {}}))
    with subprocess.Popen([sys.executable, "-m", "autosubmit_portal.gateway", tmp_path / "hosts.json"]) as process:
        try:
            wait_for((tmp_path / "acting").exists)
            (tmp_path / name).unlink()
            assert process.wait(PATIENCE) == 1
        finally:
            process.kill()


def test_a_gateway_says_by_which_portal_commands_are_kept_apart(here: RunningGateway) -> None:
    assert caller.list_hosts(here.reading, 10)["portal"] == PORTAL


def test_a_command_is_started_and_followed_through_the_gateway(here: RunningGateway) -> None:
    assert here.start("-c", "echo hello; exit 88") == {"outcome": "started", "why": ""}
    assert here.wait_for_end()["exit_status"] == 88
    arguments = {"key": KEY, "generation": 0, "offset": 0, "wait_seconds": 0}
    assert caller.ask(here.reading, "here", "look", arguments, 60)[1] == b"hello\n"


@pytest.mark.parametrize("name", ["start", "end", "give_up", "forget", "dance"])
def test_who_may_only_read_cannot_act(here: RunningGateway, name: str) -> None:
    with pytest.raises(Refused, match="This socket is not for") as refused:
        caller.ask(here.reading, "here", name, {"key": KEY}, 60)
    assert refused.value.code == "forbidden"
    assert here.look()["state"] == "not started"


def test_the_sockets_are_for_their_group_and_nobody_else(here: RunningGateway) -> None:
    assert {place.stat().st_mode & 0o777 for place in (here.reading, here.acting)} == {0o660}


def test_an_agent_refuses_through_the_gateway(here: RunningGateway) -> None:
    with pytest.raises(Refused, match="is no key") as refused:
        here.ask("end", key="../x")
    assert refused.value.code == "invalid"


def test_a_host_that_is_unknown_is_named(here: RunningGateway) -> None:
    with pytest.raises(Refused, match="There is no host 'there'"):
        here.ask("end", host="there")


def test_a_gateway_that_is_not_there_refuses(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="The gateway cannot be reached") as refused:
        caller.ask(tmp_path / "nowhere", "here", "look", {}, 1)
    assert refused.value.code == "away"


def test_a_host_that_is_away_says_why_at_once(tmp_path: Path) -> None:
    host = make_other("/bin/sh", "-c", "echo 'ssh: Permission denied (publickey).' >&2; exit 255")
    with gateway(tmp_path, {"here": host}) as made:
        wait_for(lambda: "Permission denied" in made.describe()["reason"])
        began = time.monotonic()
        with pytest.raises(Refused, match=r"has been away for \d+ s.*Permission denied \(publickey\)") as refused:
            made.start("-c", "true")
        assert time.monotonic() - began < ANSWER_SECONDS
        assert refused.value.code == "away"


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with gateway(tmp_path, {"here": make_other("/nonexistent/python")}) as made:
        reason = wait_for(lambda: made.describe()["reason"], is_enough=lambda text: "opened" in text)
        assert "No such file or directory: '/nonexistent/python'" in reason


def test_a_command_outlives_the_agent_and_is_found_by_the_next(here: RunningGateway, tmp_path: Path) -> None:
    here.start("-c", GO_ON.format(tmp_path))
    wait_for(lambda: here.look()["state"] == "alive")
    agent = here.find_agent()
    os.kill(agent, signal.SIGKILL)
    wait_for(lambda: here.look_if_there().get("state") == "alive" and here.find_agent() != agent)
    (tmp_path / "go").touch()
    assert here.wait_for_end()["exit_status"] == 7


def test_a_command_outlives_the_gateway_and_is_found_by_the_next(tmp_path: Path) -> None:
    hosts = {"here": make_local(tmp_path / "site")}
    with gateway(tmp_path, hosts) as first:
        first.wait_for_host()
        first.start("-c", GO_ON.format(tmp_path))
        agent = first.find_agent()
        first.process.kill()
        wait_for(lambda: not Path(f"/proc/{agent}").exists())
    with gateway(tmp_path, hosts) as second:
        second.wait_for_host()
        (tmp_path / "go").touch()
        assert second.wait_for_end()["exit_status"] == 7


def test_an_agent_that_dies_while_it_is_asked_leaves_the_answer_unknown(here: RunningGateway) -> None:
    """It has stopped when it is asked, so that nobody can know."""
    agent = here.find_agent()
    os.kill(agent, signal.SIGSTOP)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(here.acting))
        client = Client({}, time.monotonic())
        stream = Stream(client, asking.fileno(), asking.fileno())
        events = wait_for(lambda: stream.write() + stream.read(time.monotonic()))
        assert isinstance(events[0], Hello)
        client.request("end", {"host": "here", "arguments": {"key": KEY}}, time.monotonic())
        stream.write()
        here.describe()  # it answers after it has taken what came before
        os.kill(agent, signal.SIGKILL)
        (failure,) = wait_for(lambda: stream.read(time.monotonic()))
    assert isinstance(failure, Failure)
    assert (failure.code, "was lost" in failure.reason) == ("unanswered", True)


def test_a_frozen_agent_leaves_the_answer_unknown_and_delays_nobody_else(tmp_path: Path) -> None:
    hosts = {"here": make_local(tmp_path / "site"), "frozen": make_liar("send(hello); time.sleep(600)")}
    with gateway(tmp_path, hosts) as made:
        made.wait_for_host("here")
        made.wait_for_host("frozen")
        with pytest.raises(Unanswered):
            made.ask("start", host="frozen", seconds=0.5)
        assert made.look()["state"] == "not started"


def test_who_waits_for_a_page_hears_soon_that_an_agent_is_frozen_and_since_when(here: RunningGateway) -> None:
    agent, look = here.find_agent(), {"key": KEY, "offset": 0, "wait_seconds": 30}
    os.kill(agent, signal.SIGSTOP)
    took = []
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Unanswered, match=r"The host has been silent for \d+ s\."):
            caller.ask(here.reading, "here", "look", look, 60, is_for_page=True)
        took.append(time.monotonic() - began)
    os.kill(agent, signal.SIGCONT)
    wait_for(lambda: here.look_if_there().get("state") == "not started")
    assert max(took) < SILENCE_SECONDS / 2  # the gateway itself leaves it after twice as long


def test_who_waits_for_an_agent_that_lives_is_not_cut_off(here: RunningGateway) -> None:
    """The look waits for news longer than an agent may be silent."""
    look = {"key": KEY, "offset": 0, "wait_seconds": 4}
    assert caller.ask(here.reading, "here", "look", look, 60, is_for_page=True)[0]["state"] == "not started"


def test_a_worker_waits_for_an_agent_that_is_frozen_for_a_while(here: RunningGateway) -> None:
    agent = here.find_agent()
    os.kill(agent, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(here.look)
        look = {"key": KEY, "offset": 0, "wait_seconds": 0}
        with pytest.raises(Unanswered):
            caller.ask(here.reading, "here", "look", look, 60, is_for_page=True)
        assert not asked.done()
        os.kill(agent, signal.SIGCONT)
        assert asked.result()["state"] == "not started"


def test_a_caller_that_does_not_read_delays_nobody_else(here: RunningGateway) -> None:
    here.start("-c", "head -c 3000000 /dev/zero")
    here.wait_for_end()
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(here.acting))
        client = Client({}, time.monotonic())
        stream = Stream(client, slow.fileno(), slow.fileno())
        wait_for(lambda: stream.write() + stream.read(time.monotonic()))
        look = {"key": KEY, "generation": 0, "offset": 0, "wait_seconds": 0}
        for _ in range(30):
            client.request("look", {"host": "here", "arguments": look}, time.monotonic())
        while stream.has_something_to_write:
            stream.write()
        for _ in range(5):
            _, data = caller.ask(here.reading, "here", "look", look, 60)
            assert len(data) == 128 * 1024


LIES = {
    "ten gigabytes": ("send(hello + b'\\xff' * 4 + b'\\0\\0\\0\\1\\1')", "a frame of 4294967295 bytes"),
    "an answer that nobody asked for": (
        "from autosubmit_portal.agent.protocol.frames import *;"
        'send(hello + make_frame(9, Kind.MESSAGE, b\'{"type":"answer","value":{}}\'))',
        "request 9, which nobody made",
    ),
    "a future version": ("send(hello.replace(b'[1,0]', b'[9,0]'))", "update the older of both"),
    "a login shell": ("send(b'Your password has expired.'); time.sleep(0.2)", "Your password has expired."),
    "endless messages": (
        "from autosubmit_portal.agent.protocol.frames import *;"
        "send(hello);"
        'beat = make_frame(0, Kind.MESSAGE, b\'{"type":"heartbeat"}\') * 1000\n'
        "while True: send(beat)",
        "more than 2000 messages a second",
    ),
    "an endless message": (
        "from autosubmit_portal.agent.protocol.frames import *;"
        "send(hello)\n"
        "while True: send(make_frame(0, Kind.PART, b' ' * 60_000))",
        "a message of more than 1048576 bytes",
    ),
    "bytes of an answer that nobody asked for": (
        "from autosubmit_portal.agent.protocol.frames import *; send(hello + make_frame(1, Kind.DATA, b'x'))",
        "request 1, which nobody made",
    ),
    "nothing but noise": ("send(os.urandom(200_000))", "no frame in the first 65536 bytes"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_agent_that_lies_is_cut_off_and_the_reason_is_told(tmp_path: Path, lie: str) -> None:
    code, reason = LIES[lie]
    hosts = {"liar": make_liar(code), "here": make_local(tmp_path / "site")}
    with gateway(tmp_path, hosts) as made:
        wait_for(lambda: reason in made.describe("liar")["reason"])
        made.wait_for_host("here")
        assert made.look()["state"] == "not started"


ANSWER = '{"type":"answer","value":{}}'
ANSWERS = {
    "to another request": (f"make_frame(3, Kind.MESSAGE, b'{ANSWER}')", "request 3, which nobody made"),
    "that never ends": ("make_frame(1, Kind.DATA, bytes(60_000))", "more bytes than it has credit for"),
    "that is none": ("make_frame(1, Kind.MESSAGE, b'[1]')", "a message that is no object"),
    "twice": (f"2 * make_frame(1, Kind.MESSAGE, b'{ANSWER}')", "request 1, which nobody made"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_a_lie_is_unknown_and_the_agent_is_cut_off(tmp_path: Path, answer: str) -> None:
    """It answers when it is asked, for as long as it is let."""
    frames, reason = ANSWERS[answer]
    code = (
        "from autosubmit_portal.agent.protocol.frames import *\n"
        "send(hello)\n"
        "while b'look' not in os.read(0, 65536): pass\n"
        f"while True: send({frames})"
    )
    with gateway(tmp_path, {"here": make_liar(code)}) as made:
        made.wait_for_host()
        with suppress(Unanswered):  # of two answers the first is one
            made.look(seconds=30)
        wait_for(lambda: reason in made.describe()["reason"])


# Passes on what an agent says after its hello, with a byte changed here and there.
DAMAGE = """
import os, random, subprocess, sys, threading
r = random.Random(int(sys.argv[1]))
agent = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
def ask():
    while data := os.read(0, 65536):
        agent.stdin.write(data)
    agent.stdin.close()
threading.Thread(target=ask, daemon=True).start()
os.write(1, agent.stdout.read(65536))
while data := bytearray(agent.stdout.read(65536)):
    if r.random() < 0.3:
        data[r.randrange(len(data))] = r.randrange(256)
    os.write(1, data)
"""


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_a_gateway_survives_answers_that_are_damaged_on_the_way(tmp_path: Path, seed: int) -> None:
    good = make_local(tmp_path / "site")
    agent = [sys.executable, "-I", good["agent"], good["site_file"]]
    damaged = {
        f"damaged-{number}": make_other(sys.executable, "-c", DAMAGE, f"{seed}{number}", *agent) for number in range(4)
    }
    with gateway(tmp_path, {"here": good} | damaged) as made:
        made.wait_for_host("here")
        for host in damaged:
            made.wait_for_host(host)
            for _ in range(20):
                with suppress(Refused, Unanswered):
                    made.look(host=host, seconds=1)
        assert made.look()["state"] == "not started"


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_a_gateway_survives_whatever_an_agent_sends(tmp_path: Path, seed: int) -> None:
    noise = (
        "import random; from autosubmit_portal.agent.protocol.frames import *;"
        "r = random.Random({});"
        "send(hello + b''.join(make_frame(r.randrange(3), r.choice(list(Kind)), r.choice((r.randbytes(40),"
        ' b\'{{"type":"heartbeat"}}\', b\'{{"type":"answer","value":{{}}}}\'))) for _ in range(50)));'
        "time.sleep(0.1)"
    )
    hosts = {f"liar-{number}": make_liar(noise.format(seed * 100 + number)) for number in range(4)}
    hosts["here"] = make_local(tmp_path / "site")
    with gateway(tmp_path, hosts) as made:
        made.wait_for_host("here")
        for host in hosts.keys() - {"here"}:
            wait_for(partial(is_cut_off, made, host))
            with pytest.raises((Refused, Unanswered)):
                made.ask("end", host=host, seconds=2)
        assert made.look()["state"] == "not started"


def is_cut_off(made: RunningGateway, host: str) -> bool:
    return bool(made.describe(host)["reason"].startswith("The "))


def test_the_pauses_between_attempts_grow_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, now, attempts = ProgramChannel(["/nonexistent"], PORTAL, 0), 0.0, list[float]()
    try_again = ProgramChannel._start

    def note(channel: ProgramChannel, now: float) -> None:
        attempts.append(now)
        try_again(channel, now)

    monkeypatch.setattr(ProgramChannel, "_start", note)
    while now < 600:
        channel.tick(now)
        now += 0.5
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert pauses[:6] == [0.5, 1, 2, 4, 8, 16]
    assert set(pauses[7:]) == {LONGEST_PAUSE_SECONDS}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ('{"portal": "p", "reading": "r", "acting": "a", "hosts": {"a b": {}}}', "no name"),
        ('{"portal": "p", "reading": "r", "acting": "a", "hosts": {"a": {}}}', "of host “a” “channel” must be"),
        ('{"portal": "p", "reading": "x/../s", "acting": "s", "hosts": {}}', "must name two sockets"),
        ('{"hosts": {}}', "“portal” must be"),
    ],
)
def test_a_file_of_hosts_that_is_wrong_says_why(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "hosts.json").write_text(text)
    with pytest.raises(BadHostsFileError, match=reason):
        read_hosts(tmp_path / "hosts.json")


def test_a_gateway_says_where_it_cannot_listen_and_which_folder_is_missing(tmp_path: Path) -> None:
    place = tmp_path / "missing" / "reading"
    file = tmp_path / "hosts.json"
    acting = str(place.with_name("acting"))
    file.write_text(json.dumps({"portal": PORTAL, "reading": str(place), "acting": acting, "hosts": {}}))
    remedy = f"Make the folder {place.parent} (docs/operations.md, The gateway)."
    assert _refuse(str(file)) == f"{place} cannot be listened at: No such file or directory. {remedy}\n"


def _refuse(*arguments: str) -> str:
    """Return what a gateway says that ends at once."""
    command = [sys.executable, "-m", "autosubmit_portal.gateway", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 1
    return done.stderr
