"""The agent as it is shipped: one file that any Python from 3.10 runs, answering over its descriptors 0 and 1."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.management import call_command

from autosubmit_portal.agent.protocol import Answer, Closed, Failure, Hello, limits
from autosubmit_portal.agent.protocol.frames import HEADER, MAGIC
from autosubmit_portal.gateway.agent_archive import write_archive
from tests.agent.agents import KEY, Channel, agent, find_pythons, write_site_file
from tests.agent.protocol.pairs import HELLO, message
from tests.support import fuzz
from tests.support.waiting import PATIENCE, wait_for

GO_ON = "while [ ! -e {}/go ]; do sleep 0.05; done; echo done; exit 7"


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    with agent(tmp_path) as made:
        yield made


@pytest.mark.parametrize("python", find_pythons(), ids=lambda path: Path(path).name)
def test_an_agent_starts_a_command_and_tells_how_it_ended_on_every_python(tmp_path: Path, python: str) -> None:
    with agent(tmp_path, python) as channel:
        assert channel.start("-c", 'echo "hello from $SITE"; exit 88') == {"outcome": "started", "why": ""}
        look, printed = channel.follow()
    assert (look["state"], look["exit_status"], printed) == ("ended", 88, b"hello from es\n")


def test_an_agent_says_where_it_is(channel: Channel) -> None:
    facts = channel.wait_for(Hello).facts
    assert facts["namespace"] == str(Path("/proc/self/ns/pid").stat().st_ino)
    assert facts["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts["python"].startswith("3.")


def test_a_python_that_is_too_old_says_so(tmp_path: Path) -> None:
    """Nothing older can be counted on to be here, so that ours is told to be old."""
    code = "import runpy, sys; sys.version_info = (3, 9); runpy.run_path(sys.argv[1], run_name='__main__')"
    old = subprocess.run(
        [sys.executable, "-I", "-c", code, str(write_archive(tmp_path))], check=False, capture_output=True, text=True
    )
    assert old.returncode == 1
    assert old.stderr.startswith("The agent needs Python 3.10 or newer; this is Python 3.")


def test_a_command_goes_on_when_its_agent_is_killed_and_another_tells_its_end(tmp_path: Path) -> None:
    with agent(tmp_path) as first:
        first.start("-c", GO_ON.format(tmp_path))
        assert first.look(wait_seconds=0)["state"] in ("not started", "alive")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    with agent(tmp_path) as second:
        wait_for(lambda: second.look(wait_seconds=0)["state"] == "alive")
        (tmp_path / "go").touch()
        look, printed = second.follow()
    assert (look["exit_status"], printed) == (7, b"done\n")


def test_a_look_waits_for_news(channel: Channel, tmp_path: Path) -> None:
    channel.start("-c", GO_ON.format(tmp_path))
    waiting = channel.client.request(
        "look", {"key": KEY, "generation": 0, "offset": 0, "wait_seconds": 30}, time.monotonic()
    )
    assert channel.look(wait_seconds=0)["state"] in ("not started", "alive")  # another one is answered meanwhile
    assert not [event for event in channel.events if isinstance(event, Answer) and event.channel == waiting]
    (tmp_path / "go").touch()
    channel.wait_for(Answer, channel=waiting)


def test_a_look_that_is_cancelled_ends(channel: Channel, tmp_path: Path) -> None:
    waiting = channel.client.request(
        "look", {"key": KEY, "generation": 0, "offset": 0, "wait_seconds": 30}, time.monotonic()
    )
    channel.client.cancel(waiting)
    assert channel.wait_for(Answer, Failure, channel=waiting).code == "cancelled"


def test_long_output_is_read_to_its_end_by_pieces(channel: Channel) -> None:
    channel.start("-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo end")
    look, printed = channel.follow()
    assert (len(printed), printed[-4:], look["exit_status"]) == (1_000_004, b"end\n", 0)


def test_a_command_is_ended(channel: Channel) -> None:
    channel.start("-c", "echo up; exec sleep 600")
    wait_for(lambda: channel.look(wait_seconds=5)["size"])
    assert channel.ask("end", key=KEY) == {}
    look, _ = channel.follow()
    assert look["exit_status"] == 128 + signal.SIGTERM


def test_a_key_that_was_given_up_is_refused(channel: Channel) -> None:
    assert channel.ask("give_up", key=KEY) == {"given_up": True}
    assert channel.start("-c", "true") == {"outcome": "refused", "why": "The command of this key was given up."}


def test_a_command_that_ended_is_forgotten(channel: Channel) -> None:
    channel.start("-c", "true")
    channel.follow()
    assert channel.ask("forget", key=KEY) == {"forgotten": True}
    assert channel.start("-c", "true")["outcome"] == "refused"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "delete"}, "The site does not let 'delete' be started here."),
        ({"profile": "mine"}, "The site has no profile 'mine'."),
    ],
)
def test_what_the_site_does_not_allow_is_refused(channel: Channel, changes: dict[str, str], why: str) -> None:
    assert channel.start("-c", "true", **changes) == {"outcome": "refused", "why": why}


PEOPLE = {"ana": "lumi-ana"}
PROFILES = {"usual": {"WHO": "nobody"}, "lumi-ana": {"WHO": "ana at LUMI"}}
TELL = 'echo "$WHO, ${SUDO_USER-no person}"'


@pytest.mark.parametrize(
    ("person", "others", "printed"),
    [
        ("ana", {}, b"ana at LUMI, ana\n"),
        ("bo", {"*": "usual"}, b"nobody, no person\n"),
        ("*", {"*": "usual"}, b"nobody, no person\n"),
    ],
)
def test_the_site_chooses_the_profile_by_who_asks(
    tmp_path: Path, person: str, others: dict[str, str], printed: bytes
) -> None:
    with agent(tmp_path, profiles=PROFILES, people=PEOPLE | others) as channel:
        channel.start("-c", TELL, person=person)
        assert channel.follow()[1] == printed


@pytest.mark.parametrize("person", ["bo", "", "ana ", "../ana"])
def test_somebody_whom_the_site_does_not_map_is_refused(tmp_path: Path, person: str) -> None:
    with agent(tmp_path, profiles=PROFILES, people=PEOPLE) as channel:
        answer = channel.start("-c", "true", person=person)
    assert answer["outcome"] == "refused"
    assert answer["why"].startswith(f"The site maps no profile to {person!r}:")


def test_a_site_without_people_gives_everybody_the_usual_profile(channel: Channel) -> None:
    channel.start("-c", 'echo "$SITE, ${SUDO_USER-no person}"', person="ana")
    assert channel.follow()[1] == b"es, no person\n"


def test_people_need_profiles_that_are_there(channel: Channel, tmp_path: Path) -> None:
    assert channel.look(wait_seconds=0)["state"] == "not started"  # it has read its file
    write_site_file(tmp_path, people={"ana": "lumi"})
    assert "'lumi', which is not among “profiles”" in channel.start("-c", "true", person="ana").reason


@pytest.mark.parametrize("words", [["delete", "a000"], ["-v", "-c"], [""], []])
def test_a_kind_starts_no_other_words_than_the_site_allows(channel: Channel, words: list[str]) -> None:
    why = f"The site does not let 'run' start {' '.join(words[:1])!r}."
    assert channel.start(*words) == {"outcome": "refused", "why": why}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": "../../etc"}, "'../../etc' is no key"),
        ({"digest": "x"}, "“digest” must be 64 hexadecimal digits"),
        ({"words": ["a", 1]}, "“words” must be a list of texts"),
        ({"words": "run"}, "“words” must be a list of texts"),
        ({"path": "/bin/id"}, "'path' is unknown"),
        ({"unless_locked": "../a000"}, "“unless_locked” must be the name of an experiment"),
        ({"force": True}, "'force' is unknown"),
    ],
)
def test_a_start_that_is_not_understood_starts_nothing(
    channel: Channel, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    failure = channel.start("-c", f"touch {tmp_path}/started", **changes)
    assert isinstance(failure, Failure)
    assert (failure.code, reason in failure.reason) == ("invalid", True)
    assert not list((tmp_path / "spool").rglob("request"))


def test_an_unknown_request_is_no_offence(channel: Channel) -> None:
    assert channel.ask("dance").code == "unknown"
    assert channel.look(wait_seconds=0)["state"] == "not started"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"program": "autosubmit"}, "“program” must be an absolute path"),
        ({"umask": "9"}, "“umask” must be three octal digits"),
        ({"profiles": {"usual": {"A": 1}}}, "“A” must be a text"),
        ({"kinds": ["run"]}, 'each kind may start, such as {"run": ["run"], "restart": ["recovery", "run"]}'),
        ({"kinds": {"run": "run"}}, "“run” must be a list of texts"),
        ({"portal": "../x"}, "'../x' is no key"),
        ({"spool": "/proc/spool"}, "-m 0700 /proc/spool"),
    ],
)
def test_an_agent_that_cannot_work_says_why_to_the_gateway(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with agent(tmp_path, **changes) as channel:
        assert reason in channel.wait_for(Closed).reason


def test_an_agent_ends_when_its_channel_closes(channel: Channel) -> None:
    assert channel.process.stdin
    channel.process.stdin.close()
    assert channel.process.wait(PATIENCE) == 0


def test_an_agent_ends_when_it_hears_nothing_though_its_loop_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, whose loop hangs like one that waits for a disk."""
    code = f"""
import time
from pathlib import Path
from autosubmit_portal.agent import service
from autosubmit_portal.agent.protocol import limits
limits.HELLO_SECONDS = 0.1
service._MORE_PATIENCE = 0.1
service.Agent._turn = lambda *_: time.sleep(600)
service.run([{str(write_site_file(tmp_path))!r}])
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hanging:
        assert hanging.wait(PATIENCE) == 1


def test_nothing_but_frames_reaches_the_gateway(channel: Channel) -> None:
    """What a library prints by mistake goes to the errors."""
    assert os.readlink(f"/proc/{channel.process.pid}/fd/1") == os.readlink(f"/proc/{channel.process.pid}/fd/2")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (MAGIC + HEADER.pack(2**32 - 1, 1, 1), b"a frame of 4294967295 bytes"),
        (MAGIC + message(0, HELLO | {"oldest": [7, 0], "newest": [8, 0]}), b"update the older of both"),
        (b"x" * 100_000, b"no frame in the first 65536 bytes"),
    ],
    ids=["too long a frame", "a future version", "no frame"],
)
def test_a_gateway_that_lies_is_told_why_and_the_agent_ends(tmp_path: Path, sent: bytes, reason: bytes) -> None:
    archive, site_file = write_archive(tmp_path), write_site_file(tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", str(archive), str(site_file)], input=sent, capture_output=True, check=True
    )
    assert reason in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_an_agent_ends_in_order_whatever_it_is_sent(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    archive, site_file = write_archive(tmp_path), write_site_file(tmp_path)
    hello = HELLO | {"facts": {"portal": "0f7b3a5e-5d0c-4c58-9f0e-3b6f6a3c1d11"}}
    for _ in range(5):
        requests = b"".join(_make_request(random, number) for number in range(1, 20))
        stream = MAGIC + message(0, hello) + fuzz.flipped(random, requests, b"")
        done = subprocess.run(
            [sys.executable, "-I", str(archive), str(site_file)], input=stream, capture_output=True, check=True
        )
        assert b"Traceback" not in done.stderr


def _make_request(random: Random, channel: int) -> bytes:
    arguments = {
        "key": random.choice((KEY, "x")),
        "digest": "ab" * 32,
        "kind": "run",
        "words": ["-c", "true"],
        "profile": random.choice(("usual", "none", 1, None)),
    }
    name = random.choice(("start", "look", "end", "give_up", "forget", "dance"))
    wanted = arguments if name == "start" else {"key": arguments["key"]}
    look = {"generation": 0, "offset": 0, "wait_seconds": 0} if name == "look" else {}
    return message(
        channel, {"type": "request", "name": name, "arguments": wanted | look, "credit": limits.USUAL_CREDIT}
    )


def test_the_command_of_the_portal_writes_the_agent_and_prints_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("agent", "--build", folder=tmp_path)
    assert Path(capsys.readouterr().out.strip()) == write_archive(tmp_path)


def test_the_same_code_makes_the_same_file(tmp_path: Path) -> None:
    first, second = write_archive(tmp_path / "a"), write_archive(tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_a_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    before = write_archive(tmp_path).stat()
    after = write_archive(tmp_path).stat()
    assert (before.st_ino, before.st_mtime_ns, oct(after.st_mode)[-3:]) == (after.st_ino, after.st_mtime_ns, "444")
    assert len(list(tmp_path.iterdir())) == 1
