"""The child that looks at a store, as its agent has it: asked in turn, left when it hangs, begun anew after a pause."""

import ctypes
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autosubmit_portal.agent.protocol.limits import USUAL_CREDIT
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.process import Process
from autosubmit_portal.agent.watch.left_out import FIRST_SECONDS
from autosubmit_portal.agent.watch.request import MARK_BYTES
from autosubmit_portal.agent.watching import (
    ANSWER_SECONDS,
    FIRST_PAUSE_SECONDS,
    IDLE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_STUCK,
    Watching,
)
from tests.agent.agents import write_site_file
from tests.support.small_stores import make_store
from tests.support.waiting import wait_for

ASKED = {"epoch": "", "counter": 0, "attend": [], "pause_seconds": 1.0, "is_whole": False}


class Gateway:
    """Takes what is answered, as the agent's end of a connection does."""

    bytes_to_send = 0

    def __init__(self) -> None:
        self.ended: dict[int, str] = {}
        self.reasons: list[str] = []
        self.data = b""

    def credit(self, _channel: int) -> int:
        return USUAL_CREDIT

    def send_data(self, _channel: int, data: bytes) -> None:
        self.data += data

    def answer(self, channel: int, _value: Message) -> None:
        self.ended[channel] = "told"

    def fail(self, channel: int, code: str, reason: str) -> None:
        assert channel not in self.ended
        self.ended[channel] = code
        self.reasons.append(reason)


class Driver:
    """Asks, and turns until there is an answer. `later` is added to the time."""

    def __init__(self, site_file: Path) -> None:
        self.gateway = Gateway()
        self.watching = Watching(site_file, self.gateway)  # type: ignore[arg-type]  # all that it uses of a Server
        self.asked = 0
        self.later = 0.0

    def begin(self) -> int:
        """Ask, and return the number of the request."""
        self.asked += 1
        self.watching.ask(self.asked, ASKED, self.now())
        return self.asked

    def now(self) -> float:
        return time.monotonic() + self.later

    def turn(self) -> None:
        self.watching.turn(self.now())

    def turn_until(self, is_enough: Callable[[], bool]) -> None:
        """Turn until something is the case."""

        def look() -> bool:
            self.turn()
            return is_enough()

        wait_for(look)

    def wait_for(self, number: int) -> str:
        """Return how a request has ended."""
        self.turn_until(lambda: number in self.gateway.ended)
        return self.gateway.ended[number]

    def ask(self) -> str:
        return self.wait_for(self.begin())

    def list_told(self) -> set[str]:
        """Ask, and return the experiments that are told."""
        self.gateway.data = b""
        assert self.ask() == "told"
        return {json.loads(line)["expid"] for line in self.gateway.data.splitlines()}

    def wait_for_hanging(self) -> None:
        """Turn until the children that were left have gone: on what they hang is left out until then."""
        self.turn_until(lambda: not self.watching._dying)

    def find_child(self) -> int:
        assert self.watching._process
        return self.watching._process.pid

    def hang(self, expid: str = "") -> str:
        """Have the child hang while it is asked, as it does on a disk, for so long that it is left."""
        assert self.ask() == "told"
        number = self.begin()
        os.kill(self.find_child(), signal.SIGSTOP)
        os.pwrite(self.watching._left_out.mark, expid.encode().ljust(MARK_BYTES), 0)
        self.turn()
        self.later += ANSWER_SECONDS + 0.1
        return self.wait_for(number)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    (tmp_path / "home").mkdir()
    make_store(tmp_path / "home", ["a000", "a001"])
    made = Driver(write_site_file(tmp_path, home=str(tmp_path / "home")))
    yield made
    made.watching.close()
    made.wait_for_hanging()


def test_a_child_that_hangs_is_left_and_another_one_answers_after_a_pause(driver: Driver) -> None:
    assert driver.hang() == "unanswered"
    assert driver.ask() == "busy"
    driver.later += FIRST_PAUSE_SECONDS
    assert driver.ask() == "told"


def test_after_a_child_that_was_killed_there_is_a_pause(driver: Driver) -> None:
    assert driver.ask() == "told"
    os.kill(driver.find_child(), signal.SIGSTOP)
    number = driver.begin()
    driver.turn()
    os.kill(driver.find_child(), signal.SIGKILL)
    assert driver.wait_for(number) == "broken"
    driver.later -= LONGEST_PAUSE_SECONDS  # no time has passed, however busy the machine is
    assert driver.ask() == "busy"


def test_the_pause_grows_while_children_hang_and_begins_anew_after_an_answer(driver: Driver) -> None:
    pauses = []
    for _ in range(8):
        driver.watching._leave(driver.now(), "unanswered", "")
        pauses.append(driver.watching._paused_until - driver.now())
        driver.later += LONGEST_PAUSE_SECONDS
    assert [round(pause) for pause in pauses] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert driver.ask() == "told"
    driver.watching._leave(driver.now(), "unanswered", "")
    assert round(driver.watching._paused_until - driver.now()) == 1


def test_all_who_wait_for_a_child_that_hangs_are_told(driver: Driver) -> None:
    assert driver.ask() == "told"
    os.kill(driver.find_child(), signal.SIGSTOP)
    numbers = [driver.begin() for _ in range(3)]
    driver.turn()
    driver.later += ANSWER_SECONDS + 0.1
    assert [driver.wait_for(number) for number in numbers] == ["unanswered"] * 3


def test_no_more_children_are_begun_while_several_hang_that_cannot_be_killed(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "is_gone", lambda _: False)
    for _ in range(MOST_STUCK):
        assert driver.hang() == "unanswered"
        driver.later += LONGEST_PAUSE_SECONDS
    assert driver.ask() == "failed"
    driver.later += LONGEST_PAUSE_SECONDS
    monkeypatch.undo()
    driver.turn()
    assert driver.ask() == "told"


def test_who_asks_at_the_same_time_is_answered_in_turn(driver: Driver) -> None:
    numbers = [driver.begin() for _ in range(3)]
    assert [driver.wait_for(number) for number in numbers] == ["told"] * 3


def test_who_does_not_wait_any_more_is_in_nobodys_way(driver: Driver) -> None:
    assert driver.ask() == "told"
    asked, waiting, last = [driver.begin() for _ in range(3)]
    driver.turn()
    for number in (waiting, asked):
        driver.watching.cancel(number)
    assert driver.wait_for(last) == "told"
    assert (driver.gateway.ended[asked], driver.gateway.ended[waiting]) == ("cancelled", "cancelled")


def test_a_child_that_nobody_asks_ends(driver: Driver) -> None:
    assert driver.ask() == "told"
    child = driver.find_child()
    driver.later += IDLE_SECONDS + 1
    driver.turn_until(lambda: not Path(f"/proc/{child}/exe").exists())
    assert driver.ask() == "told"


# --- One experiment that hangs


@contextmanager
def hung_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system that never answers, until it is given up."""
    folder.mkdir()
    libc, detach = ctypes.CDLL(None, use_errno=True), 2
    server = os.open("/dev/fuse", os.O_RDWR)
    try:
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"hung", bytes(folder), b"fuse", 0, options):
            pytest.skip(f"cannot mount: {os.strerror(ctypes.get_errno())}")
        yield folder
    finally:
        os.close(server)
        libc.umount2(bytes(folder), detach)


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="only root mounts file systems")
def test_a_link_to_a_disk_that_hangs_holds_up_nobody_else(driver: Driver, tmp_path: Path) -> None:
    link = tmp_path / "home/autosubmit/a001/db"
    with hung_disk(tmp_path / "disk") as disk:
        link.symlink_to(disk)
        number = driver.begin()
        driver.turn_until(lambda: driver.watching._left_out.read_mark() == "a001")
        driver.later += ANSWER_SECONDS + 0.1
        assert driver.wait_for(number) == "unanswered"
        assert "a001 does not answer" in driver.gateway.reasons[0]
        driver.later += FIRST_PAUSE_SECONDS
        assert driver.list_told() == {"a000"}
    driver.later += FIRST_SECONDS
    driver.wait_for_hanging()
    assert driver.list_told() == {"a000", "a001"}


def test_one_on_which_a_child_hangs_is_named_and_left_out_for_a_while(driver: Driver) -> None:
    assert driver.hang("a001") == "unanswered"
    assert driver.gateway.reasons == ["a001 does not answer within 10 s: a disk may hang. It is left out for 60 s."]
    driver.later += FIRST_PAUSE_SECONDS
    assert driver.list_told() == {"a000"}
    driver.later += FIRST_SECONDS
    driver.wait_for_hanging()
    assert driver.list_told() == {"a000", "a001"}


def test_one_is_left_out_for_longer_each_time_that_it_hangs(driver: Driver) -> None:
    for _ in range(2):
        driver.hang("a001")
        driver.later += FIRST_SECONDS
    assert driver.list_told() == {"a000"}
    driver.later += FIRST_SECONDS
    driver.wait_for_hanging()
    assert driver.list_told() == {"a000", "a001"}


def test_one_is_left_out_while_a_child_hangs_on_it_that_cannot_be_killed(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Process, "is_gone", lambda _: False)
        driver.hang("a001")
        driver.later += FIRST_SECONDS
        assert driver.list_told() == {"a000"}
    driver.wait_for_hanging()
    assert driver.list_told() == {"a000", "a001"}


def test_a_child_says_what_it_looks_at(driver: Driver) -> None:
    driver.watching._left_out.clear_mark()
    assert driver.ask() == "told"
    assert os.pread(driver.watching._left_out.mark, MARK_BYTES, 0) == b" " * MARK_BYTES
