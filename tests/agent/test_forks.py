"""Readers and watchers are forked by a process that has imported them, and end with whoever wanted them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosubmit_portal.agent.readers import forks
from autosubmit_portal.agent.readers.fork_server import ForkServer
from autosubmit_portal.agent.readers.process import Process
from tests.agent.pretended_reader import pretend
from tests.support.services import find_parent
from tests.support.waiting import wait_for

# An agent of which nothing is left but what it has forked.
BE_KILLED = """
import os, sys
from pathlib import Path
from tests.agent.pretended_reader import pretend
made = pretend()(Path(sys.argv[1]))
while not made.pid:
    pass
print(made.pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = start(tmp_path)
    yield made
    made.kill()
    wait_for(made.is_gone)


def start(folder: Path) -> Process:
    """Have a process forked that is ready and does nothing."""
    made = pretend()(folder)
    wait_for(lambda: made.hear() or made.is_ready)
    return made


def end(process: Process) -> None:
    process.kill()
    wait_for(process.is_gone)


def test_all_are_forked_by_one_process(process: Process, tmp_path: Path) -> None:
    other = start(tmp_path)
    assert find_parent(other.pid) == find_parent(process.pid) != os.getpid()
    end(other)


def test_one_that_is_killed_has_gone_with_what_it_left(tmp_path: Path) -> None:
    made = start(tmp_path)
    left = tmp_path / f"{made.pid}-copy"
    left.mkdir()
    end(made)
    assert not left.exists()
    assert not Path(f"/proc/{made.pid}").exists()


def test_one_has_no_descriptors_of_others_and_no_variables(process: Process, tmp_path: Path) -> None:
    other = start(tmp_path)
    assert {*os.listdir(f"/proc/{other.pid}/fd")} == {"0", "1", "2"}
    assert Path(f"/proc/{other.pid}/environ").read_bytes() == b""
    end(other)


def test_one_is_in_a_session_of_its_own(process: Process) -> None:
    assert os.getsid(process.pid) == process.pid


def test_one_has_a_name_of_its_own(process: Process) -> None:
    assert Path(f"/proc/{process.pid}/comm").read_text() == "portal pretende\n"


def test_a_server_that_was_killed_takes_all_with_it_and_another_one_begins(process: Process, tmp_path: Path) -> None:
    server = find_parent(process.pid)
    os.kill(server, signal.SIGKILL)
    wait_for(process.is_gone)
    other = start(tmp_path)
    assert find_parent(other.pid) != server
    end(other)


def test_a_server_that_was_killed_before_it_took_an_order_takes_all_with_it(process: Process, tmp_path: Path) -> None:
    server = find_parent(process.pid)
    os.kill(server, signal.SIGSTOP)
    other = pretend()(tmp_path)
    os.kill(server, signal.SIGKILL)
    wait_for(process.is_gone)
    end(other)


def test_what_is_forked_ends_when_the_agent_ends_before_it_took_all_answers() -> None:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    its.send(b"{}")
    ours.close()  # the next word to it is refused
    with its, subprocess.Popen(["sleep", "600"]) as forked:
        server = ForkServer(its)
        server._pids[1] = forked.pid
        server.serve()
        assert forked.wait() == -signal.SIGKILL


def test_what_an_agent_has_forked_ends_when_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BE_KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_for(lambda: not Path(f"/proc/{int(done.stdout)}").exists())


def test_a_server_that_cannot_be_started_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_current", [])
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        pretend()(tmp_path)


def test_one_that_cannot_be_forked_is_told_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError("no more processes")

    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its, open(os.devnull, "rb") as given:
        monkeypatch.setattr(os, "fork", refuse)
        for order in ({"start": 1, "module": "", "arguments": []}, {"kill": 1}):
            socket.send_fds(ours, [json.dumps(order).encode()], [given.fileno()])
        ours.shutdown(socket.SHUT_WR)
        ForkServer(its).serve()
        assert json.loads(ours.recv(1000)) == {"gone": 1}
