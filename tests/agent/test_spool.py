"""The spool on real processes: started once, found again by anybody, never called ended without evidence."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from autosubmit_portal.agent import files, launcher, run_directory
from autosubmit_portal.agent.host import Identity, read_identity
from autosubmit_portal.agent.run_directory import Look, RunDirectory, State
from autosubmit_portal.agent.spool import Outcome, Spool, Start
from tests.support import fuzz
from tests.support.services import children_of
from tests.support.waiting import wait_for

PORTAL = "0f7b3a5e-5d0c-4c58-9f0e-3b6f6a3c1d11"
KEY = "7d1f6c9a-84f1-4b7e-a6c4-54f2b1f0a001"
DIGEST = "ab" * 32
ENVIRONMENT = {"PATH": os.environ["PATH"]}
IN_A_PID_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")

# Starts a command as another process of the agent's account would, when it is told to.
STARTER = """
import pathlib, sys
from autosubmit_portal.agent.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]), sys.argv[2])
input()
start = spool.start(sys.argv[3], sys.argv[4], sys.argv[5:], {"PATH": "/usr/bin:/bin"}, 0o077)
print(start.outcome.value, flush=True)
input()
"""


@pytest.fixture
def runs(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", PORTAL)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool" / PORTAL / KEY


def start(runs: Spool, *argv: str, key: str = KEY, digest: str = DIGEST) -> Start:
    return runs.start(key, digest, argv, ENVIRONMENT, 0o077)


def starter(tmp_path: Path, *argv: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "spool"), PORTAL, KEY, DIGEST, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def say_go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    process.stdin.write("\n")


def ended(runs: Spool, key: str = KEY) -> Look:
    return wait_for(lambda: runs.find(key).look(), is_enough=lambda look: look.state is State.ENDED)


def output(runs: Spool) -> bytes:
    return runs.find(KEY).read_output(0, 1000).data


def launcher_of(directory: Path) -> int:
    wait_for((directory / "pid").exists)
    return int((directory / "pid").read_text().split()[0])


def end_sleep(runs: Spool, directory: Path) -> Look:
    """End a command that sleeps, when it does: before, a signal to end is not one to the command."""
    wait_for(lambda: "sleep" in children_of(launcher_of(directory)))
    runs.find(KEY).end()
    return ended(runs)


def test_a_command_is_started_and_ends_with_its_status_and_output(runs: Spool) -> None:
    assert start(runs, "sh", "-c", "echo hello; exit 88") == Start(Outcome.STARTED)
    assert ended(runs) == Look(State.ENDED, 88)
    assert output(runs) == b"hello\n"


def test_a_key_that_nobody_has_used_has_not_started(runs: Spool) -> None:
    assert runs.find(KEY).look() == Look(State.NOT_STARTED)


def test_the_same_request_again_starts_nothing(runs: Spool) -> None:
    start(runs, "sh", "-c", "echo once")
    ended(runs)
    assert start(runs, "sh", "-c", "echo once") == Start(Outcome.STARTED_BEFORE)
    assert output(runs) == b"once\n"


def test_another_request_with_the_same_key_is_refused(runs: Spool) -> None:
    start(runs, "true")
    again = start(runs, "touch", "x", digest="cd" * 32)
    assert (again.outcome, again.why) == (Outcome.REFUSED, "Another request was made with this key.")


@pytest.mark.parametrize("key", ["", "..", "a000", KEY.upper(), KEY + "\n", f"{KEY}/..", "0" * 36])
def test_what_is_no_key_reaches_no_file(runs: Spool, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        start(runs, "true", key=key)


def test_the_spool_is_for_nobody_else(runs: Spool, directory: Path) -> None:
    start(runs, "true")
    ended(runs)
    paths = (directory.parent.parent, directory.parent, directory, *directory.iterdir())
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}


@pytest.mark.parametrize("_round", range(5))
def test_of_many_processes_that_start_one_key_at_once_one_starts_it(runs: Spool, tmp_path: Path, _round: int) -> None:
    command = ("sh", "-c", f"echo $$ >>{tmp_path}/started; sleep 0.2")
    starters = [starter(tmp_path, *command) for _ in range(4)]
    for process in starters:
        say_go(process)
    answers = {process.stdout.readline().strip() for process in starters if process.stdout}
    ended(runs)
    for process in starters:
        process.communicate("\n")
    assert answers <= {"started", "started before"}
    assert len((tmp_path / "started").read_text().split()) == 1


def test_a_start_goes_on_when_another_of_the_same_key_has_tidied_up(
    runs: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = files.replace

    def lose_room(path: Path, data: bytes) -> None:
        replace(path, data)
        if path.name == "room":
            path.unlink()

    monkeypatch.setattr(files, "replace", lose_room)
    assert start(runs, "true") == Start(Outcome.STARTED)
    assert ended(runs).exit_status == 0


def test_a_start_that_was_cut_off_before_its_launcher_can_be_repeated(runs: Spool, directory: Path) -> None:
    directory.mkdir(parents=True)
    RunDirectory(directory).take(DIGEST)
    assert runs.find(KEY).look() == Look(State.NOT_STARTED)
    assert start(runs, "true") == Start(Outcome.STARTED)
    assert ended(runs).exit_status == 0


def test_a_command_outlives_the_agent_that_started_it(runs: Spool, tmp_path: Path) -> None:
    agent = starter(tmp_path, "sh", "-c", f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 7")
    say_go(agent)
    wait_for(lambda: runs.find(KEY).look().state is State.ALIVE)
    agent.kill()
    agent.communicate()
    assert runs.find(KEY).look() == Look(State.ALIVE)
    (tmp_path / "go").touch()
    assert ended(runs) == Look(State.ENDED, 7)


def test_a_command_leaves_the_session_and_the_group_of_the_agent(runs: Spool, directory: Path) -> None:
    start(runs, "sleep", "600")
    pid = launcher_of(directory)
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert end_sleep(runs, directory).exit_status == 128 + signal.SIGTERM


def test_another_launcher_script_does_not_disturb_a_running_one(runs: Spool, directory: Path) -> None:
    """A shell reads its script while it runs."""
    start(runs, "sleep", "600")
    pid = launcher_of(directory)
    line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert line[1] == os.fsencode(directory / "launch.sh")
    assert (directory / "launch.sh").read_bytes() == launcher.SCRIPT
    end_sleep(runs, directory)


def test_a_key_that_was_given_up_never_starts(runs: Spool) -> None:
    assert runs.give_up(KEY)
    assert start(runs, "true").outcome is Outcome.REFUSED
    assert runs.find(KEY).look() == Look(State.GIVEN_UP)


def test_a_command_that_has_started_is_not_given_up(runs: Spool, directory: Path) -> None:
    start(runs, "true")
    launcher_of(directory)
    assert not runs.give_up(KEY)
    assert ended(runs).exit_status == 0


@pytest.mark.parametrize("_round", range(20))
def test_who_gives_up_while_it_starts_is_told_the_truth(runs: Spool, tmp_path: Path, _round: int) -> None:
    start(runs, "touch", str(tmp_path / "started"))
    given_up = runs.give_up(KEY)
    wait_for(lambda: not children_of(os.getpid()).count(str(tmp_path)))
    launcher.reap()
    assert (tmp_path / "started").exists() is not given_up
    assert runs.find(KEY).look().state is (State.GIVEN_UP if given_up else State.ENDED)


def test_a_command_that_was_forgotten_leaves_a_key_that_is_used(runs: Spool, directory: Path) -> None:
    start(runs, "true")
    ended(runs)
    assert runs.forget(KEY)
    assert sorted(path.name for path in directory.iterdir()) == ["forgotten", "pid"]
    assert runs.find(KEY).look() == Look(State.GONE, why="It has ended, and its portal let it be forgotten.")
    assert start(runs, "true").outcome is Outcome.REFUSED


def test_a_start_that_comes_while_its_command_is_forgotten_starts_nothing(
    runs: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(runs, "sh", "-c", f"echo x >>{tmp_path}/started")
    ended(runs)
    take = RunDirectory.take

    def forget_first(run: RunDirectory, digest: str) -> bool:
        runs.forget(KEY)
        return take(run, digest)

    monkeypatch.setattr(RunDirectory, "take", forget_first)
    start(runs, "sh", "-c", f"echo x >>{tmp_path}/started")
    wait_for(lambda: not children_of(os.getpid()).count(str(tmp_path)))
    assert (tmp_path / "started").read_text() == "x\n"


def test_what_may_still_be_needed_is_not_forgotten(runs: Spool, directory: Path) -> None:
    assert not runs.forget(KEY)
    start(runs, "sleep", "600")
    launcher_of(directory)
    assert not runs.forget(KEY)
    end_sleep(runs, directory)


def test_what_is_seen_from_another_namespace_only_is_not_forgotten(runs: Spool, directory: Path) -> None:
    start(runs, "sleep", "600")
    launcher_of(directory)
    here = (directory / "pid").read_text()
    (directory / "pid").write_text(" ".join([*here.split()[:2], "another-machine", "another-boot", "1"]))
    assert not runs.forget(KEY)
    (directory / "pid").write_text(here)
    end_sleep(runs, directory)


def test_nothing_is_left_of_what_was_started_before_there_were_keys(tmp_path: Path) -> None:
    runs = Spool(tmp_path / "spool", PORTAL, tmp_path / "actions")
    for step in ("0", "1"):
        (tmp_path / "actions" / "7" / step).mkdir(parents=True)
        (tmp_path / "actions" / "7" / step / "exit_status").write_text("0\n")
    assert (runs.forget("legacy:7/0"), runs.find("legacy:7/1").look().exit_status) == (True, 0)
    assert runs.forget("legacy:7/1")
    assert not (tmp_path / "actions" / "7").exists()


def test_keys_that_were_forgotten_long_ago_are_removed(runs: Spool, directory: Path) -> None:
    runs.give_up(KEY)
    runs.forget(KEY)
    runs.prune()
    assert directory.exists()
    os.utime(directory, (0, 0))
    runs.prune()
    assert not directory.exists()


def test_a_command_whose_launcher_was_killed_is_gone(runs: Spool, directory: Path) -> None:
    start(runs, "sleep", "600")
    os.killpg(launcher_of(directory), signal.SIGKILL)
    look = wait_for(lambda: runs.find(KEY).look(), is_enough=lambda look: look.state is not State.ALIVE)
    assert look == Look(State.GONE, why=run_directory.GONE)


def seen_from(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Let the host be another one."""
    ours = read_identity()
    fields = {"machine": ours.machine, "boot": ours.boot, "namespace": ours.namespace} | changes
    monkeypatch.setattr(run_directory, "read_identity", lambda: Identity(**fields))


OTHER_BOOT = "11111111-2222-3333-4444-555555555555"
ELSEWHERE = Look(State.UNKNOWN, why="It was started on another host, or in another PID namespace.")
BEFORE = Look(State.ENDED, why="The host was restarted since.")
PLACES: list[tuple[dict[str, str], Look]] = [
    ({"machine": "m", "boot": OTHER_BOOT}, BEFORE),
    ({"machine": "n", "boot": OTHER_BOOT}, ELSEWHERE),
    ({"machine": "m", "boot": OTHER_BOOT, "namespace": "1"}, ELSEWHERE),
    ({"machine": "m", "namespace": "1"}, ELSEWHERE),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("has_begun", [True, False])
def test_a_command_is_judged_only_by_the_host_that_has_its_processes(
    runs: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[dict[str, str], Look], has_begun: bool
) -> None:
    seen_from(monkeypatch, machine="m")
    directory.mkdir(parents=True)
    RunDirectory(directory).take(DIGEST)
    if has_begun:
        _, _, identity = (directory / "request").read_text().partition(" ")
        (directory / "pid").write_text(f"{os.getpid()} 1 {identity}")
    seen_from(monkeypatch, **place[0])
    assert runs.find(KEY).look() == place[1]
    assert not runs.give_up(KEY)
    assert start(runs, "touch", str(directory / "started")) == Start(Outcome.STARTED_BEFORE)
    assert not (directory / "started").exists()


def test_a_restart_of_a_machine_without_a_name_is_not_proven(
    runs: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_from(monkeypatch, machine="-")
    directory.mkdir(parents=True)
    RunDirectory(directory).take(DIGEST)
    seen_from(monkeypatch, machine="-", boot=OTHER_BOOT)
    assert runs.find(KEY).look() == ELSEWHERE


def test_an_exit_status_is_evidence_on_every_host(
    runs: Spool, monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    start(runs, "false")
    ended(runs)
    seen_from(monkeypatch, machine="n", boot=OTHER_BOOT)
    assert runs.find(KEY).look() == Look(State.ENDED, 1)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Callable[[int], Spool]]:
    """Lend the runs of a small disk, and fill it but for so many bytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "x", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs a disk of its own")

    def fill(left: int) -> Spool:
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - left)
        return Spool(disk, PORTAL)

    yield fill
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("left", [0, 4096, 8192, 16384, 65536])
def test_nothing_is_started_without_room_and_the_answer_says_so(full: Callable[[int], Spool], left: int) -> None:
    runs = full(left)
    answer = start(runs, "touch", f"{runs.folder}/started")
    why = f"The agent cannot write in {runs.folder}: No space left on device. Make room there, then request the action"
    assert (answer.outcome, answer.why) == (Outcome.REFUSED, f"{why} again.")
    assert not runs.find(KEY).look().has_started


@pytest.mark.parametrize("left", [8192, 16384, 65536])
def test_what_was_not_started_without_room_never_starts(full: Callable[[int], Spool], left: int) -> None:
    runs = full(left)
    start(runs, "true")
    (runs.folder.parent / "filler").unlink()
    assert start(runs, "true") == Start(Outcome.REFUSED, "The command of this key was given up.")


def test_what_was_started_before_there_was_no_room_is_not_called_refused(full: Callable[[int], Spool]) -> None:
    runs = full(1 << 19)
    start(runs, "true")
    ended(runs)
    full(0)
    with pytest.raises(OSError, match="No space left"):
        start(runs, "true")
    assert runs.find(KEY).look() == Look(State.ENDED, 0)


def test_a_command_whose_launcher_had_no_room_is_given_up_without_room(full: Callable[[int], Spool]) -> None:
    runs = full(1 << 19)
    runs.start(KEY, DIGEST, ["true"], ENVIRONMENT, 0o077, launch=lambda run, environment, umask: None)
    full(0)
    runs.find(KEY).launch(ENVIRONMENT, 0o077)
    wait_for(lambda: not children_of(os.getpid()).count(str(runs.folder)))
    assert runs.give_up(KEY)
    assert runs.find(KEY).look() == Look(State.GIVEN_UP)
    (runs.folder.parent / "filler").unlink()
    runs.find(KEY).launch(ENVIRONMENT, 0o077)
    wait_for(lambda: not children_of(os.getpid()).count(str(runs.folder)))
    assert runs.find(KEY).look() == Look(State.GIVEN_UP)
    assert runs.forget(KEY)


def can_make_pid_namespace() -> bool:
    """Tell whether a program can be run in a PID namespace of its own: it takes root, and no container forbids it."""
    return subprocess.run([*IN_A_PID_NAMESPACE, "true"], check=False, capture_output=True).returncode == 0


def test_an_agent_in_another_pid_namespace_does_not_call_a_live_command_ended(
    runs: Spool, directory: Path, tmp_path: Path
) -> None:
    if not can_make_pid_namespace():
        pytest.skip("needs a PID namespace of its own")
    start(runs, "sleep", "600")
    launcher_of(directory)
    code = (
        "import pathlib, sys; from autosubmit_portal.agent.spool import Spool;"
        "print(Spool(pathlib.Path(sys.argv[1]), sys.argv[2]).find(sys.argv[3]).look().state.value)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "spool"), PORTAL, KEY]
    seen = subprocess.run([*IN_A_PID_NAMESPACE, *words], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == "unknown"
    end_sleep(runs, directory)


@pytest.mark.parametrize(
    ("pid", "look"),
    [("", Look(State.GIVEN_UP)), (f"{os.getpid()} 1", Look(State.GONE, why=run_directory.GONE))],
    ids=["given up", "gone"],
)
def test_directories_of_before_the_identity_was_kept_are_read(
    runs: Spool, directory: Path, pid: str, look: Look
) -> None:
    directory.mkdir(parents=True)
    (directory / "pid").write_text(pid)
    assert runs.find(KEY).look() == look


def test_a_pid_that_a_crash_has_emptied_is_not_taken_for_giving_up(
    runs: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_from(monkeypatch, machine="m")
    directory.mkdir(parents=True)
    RunDirectory(directory).take(DIGEST)
    (directory / "pid").touch()
    seen_from(monkeypatch, machine="m", boot=OTHER_BOOT)
    assert runs.find(KEY).look() == BEFORE


def test_output_is_read_on_from_a_cursor(runs: Spool) -> None:
    start(runs, "printf", "0123456789")
    ended(runs)
    first = runs.find(KEY).read_output(0, 4)
    rest = runs.find(KEY).read_output(4, 100, first.generation)
    assert (first.data, rest.data, rest.offset, rest.size) == (b"0123", b"456789", 4, 10)


def test_a_cursor_of_before_output_was_dropped_begins_anew(
    runs: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MOST_OUTPUT_BYTES", 100)
    monkeypatch.setattr(run_directory, "KEPT_OUTPUT_BYTES", 10)
    start(runs, "sh", "-c", "head -c 1000 /dev/zero | tr '\\0' x; printf 0123456789")
    ended(runs)
    before = runs.find(KEY).read_output(0, 500)
    runs.find(KEY).bound_output()
    after = runs.find(KEY).read_output(500, 500, before.generation)
    assert (after.offset, after.data) == (0, b"[earlier output was dropped]\n0123456789")
    assert after.generation != before.generation


def test_a_command_that_never_stops_printing_keeps_its_newest_output(
    runs: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "MOST_OUTPUT_BYTES", 100_000)
    monkeypatch.setattr(run_directory, "KEPT_OUTPUT_BYTES", 1_000)
    start(runs, "sh", "-c", f"while [ ! -e {directory}/stop ]; do echo line; done; echo last")
    for _ in range(3):
        wait_for(lambda: (directory / "output").stat().st_size > 100_000)
        runs.find(KEY).bound_output()
    (directory / "stop").touch()
    ended(runs)
    runs.find(KEY).bound_output()
    piece = runs.find(KEY).read_output(0, 1_000_000)
    assert piece.data.endswith(b"line\nlast\n")
    assert piece.size < 1_000_000


def test_ending_a_command_twice_kills_it_only_after_patience(
    runs: Spool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(runs, "sh", "-c", 'trap "" TERM; echo up; while :; do sleep 600; done')
    wait_for(lambda: b"up" in output(runs))
    runs.find(KEY).end()
    runs.find(KEY).end()
    assert runs.find(KEY).look() == Look(State.ALIVE)
    monkeypatch.setattr(run_directory, "PATIENCE_SECONDS", -1)
    runs.find(KEY).end()
    wait_for(lambda: runs.find(KEY).look() == Look(State.GONE, why=run_directory.GONE))


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_a_run_directory_of_any_bytes_is_looked_at_without_an_error(runs: Spool, directory: Path, seed: int) -> None:
    random = Random(seed)
    directory.mkdir(parents=True)
    identity = str(read_identity())
    whole: dict[str, Callable[[], str]] = {
        "pid": lambda: f"{os.getpid()} 1 {identity}\n",
        "request": lambda: f"{DIGEST} {identity}\n",
        "exit_status": lambda: "0\n",
        "generation": lambda: "1",
    }
    for _ in range(200):
        for name, make in whole.items():
            data = make().encode()
            (directory / name).write_bytes(random.choice((fuzz.cut, fuzz.flipped, lambda *_: b""))(random, data, b""))
        look = runs.find(KEY).look()
        assert look.state is not State.ALIVE
        runs.find(KEY).read_output(0, 10, 1)
