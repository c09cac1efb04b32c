"""Warm processes on a program in place of Autosubmit: a command in one is as one in a process of its own, once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autosubmit_portal.agent import warm
from autosubmit_portal.agent.run_directory import State
from autosubmit_portal.agent.site_file import BadSiteFileError, read_site_file
from autosubmit_portal.agent.spool import Outcome
from autosubmit_portal.agent.warm import find_interpreter
from tests.agent.agents import agent, find_pythons, write_site_file
from tests.agent.pretend import PACKAGE, Pretended, is_gone, pretended, pretended_warm, write_program
from tests.support.waiting import wait_for

KEY = "7d1f6c9a-84f1-4b7e-a6c4-54f2b1f0a001"

# Tells all that a program can find around it.
LOOK_AROUND = """
import json, multiprocessing.process, signal
kernel = dict(line.split(":\\t", 1) for line in open("/proc/self/status"))
streams = [[s.encoding, s.errors, s.line_buffering, s.isatty(), s.mode] for s in (sys.stdin, sys.stdout, sys.stderr)]
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv, "original argv": getattr(sys, "orig_argv", None), "path": sys.path, "flags": str(sys.flags),
    "python": [sys.executable, sys.prefix], "folder": [os.getcwd(), multiprocessing.process.ORIGINAL_DIR],
    "variables": sorted(os.environ.items()), "main": [main.__name__, main.__file__, str(main.__spec__)],
    "shown as": [open("/proc/self/cmdline").read().rstrip("\\0"), open("/proc/self/comm").read()],
    "group": [os.getsid(0) == os.getppid(), os.getpgrp() == os.getppid()],
    "kernel": [kernel[name] for name in ("Umask", "SigBlk", "SigIgn", "SigCgt", "Threads")],
    "handlers": [str(signal.getsignal(number)) for number in range(1, 32)],
    "open": sorted(os.listdir("/proc/self/fd")), "reads": sys.stdin.read(), "streams": streams,
}))
"""
OWN_PROCESS = "print(IMPORTED_IN == os.getpid())"
WAIT = "import time, pathlib\nprint('up', flush=True)\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pretended]:
    """A program that is warm, for tests that leave it so."""
    with pretended_warm(tmp_path_factory.mktemp("program")) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Pretended]:
    """A program that is warm, of one test."""
    with pretended_warm(tmp_path) as made:
        yield made


def do_both(program: Pretended, code: str) -> list[tuple[int | None, bytes]]:
    """Return how a command has ended, and what it has printed, in a process of its own and in a warm one."""
    ends = []
    for is_warm in (False, True):
        key = program.start(code, is_warm=is_warm)
        status, printed = program.end(key)
        ends.append((status, printed.replace(key.encode(), b"KEY")))
    return ends


@pytest.mark.parametrize("python", find_pythons(9), ids=lambda path: Path(path).name)
def test_a_command_finds_what_a_new_process_finds_on_every_python(tmp_path: Path, python: str) -> None:
    with pretended_warm(tmp_path, python, SITE="es", LANG="C.UTF-8") as program:
        (_, expected), (_, found) = do_both(program, LOOK_AROUND)
        assert json.loads(found) == json.loads(expected)


@pytest.mark.parametrize("python", find_pythons(9), ids=lambda path: Path(path).name)
def test_a_command_tells_the_same_lines_of_an_error_on_every_python(tmp_path: Path, python: str) -> None:
    with pretended_warm(tmp_path, python) as program:
        alone, handed = do_both(program, "raise ValueError('broken')")
        assert handed == alone


def test_a_command_that_is_handed_over_was_imported_before(program: Pretended) -> None:
    (_, alone), (_, handed) = do_both(program, OWN_PROCESS)
    assert (alone, handed) == (b"True\n", b"False\n")


@pytest.mark.parametrize(
    "code",
    [
        "status = 88",
        "sys.exit(300)",
        "sys.exit(-1)",
        "sys.exit('no such experiment')",
        "sys.exit(True)",
        "os._exit(5)",
        "raise ValueError('broken')",
        "os.kill(os.getpid(), 9)",
        "os.kill(os.getpid(), 2)",
        "os.kill(os.getpid(), 15)",
        "import time, signal; signal.alarm(1); time.sleep(60)",
    ],
)
def test_a_command_ends_with_the_status_that_a_shell_tells(program: Pretended, code: str) -> None:
    alone, handed = do_both(program, code)
    assert handed == alone


@pytest.mark.parametrize(
    "code",
    [
        "print('a'); sys.stderr.write('b\\n'); os.system('echo c'); print('d')",
        "print('x' * 9000); os.write(2, b'y'); print('z', end='')",
        "import warnings; warnings.warn('old'); print('é', '\\udce9'.encode('utf-8', 'surrogateescape'))",
        "import atexit; atexit.register(print, 'last'); print('first')",
        "import threading; threading.Thread(target=lambda: print('late')).start()",
        "import logging; logging.error('logged'); print(sys.stdin.read() == '')",
        "os.write(1, b'0' * 200000); os.system('echo end >&2')",
    ],
)
def test_what_a_command_prints_stands_in_the_order_of_a_new_process(program: Pretended, code: str) -> None:
    alone, handed = do_both(program, code)
    assert handed == alone


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_command_has_children_of_multiprocessing(program: Pretended, method: str) -> None:
    """Those that are spawned import the program again, which must not do the command again."""
    code = f"""
import multiprocessing
context = multiprocessing.get_context({method!r})
queue = context.Queue()
child = context.Process(target=queue.put, args=(os.path.basename,))
child.start()
print(queue.get(timeout=60).__name__)
child.join()
status = child.exitcode
"""
    alone, handed = do_both(program, code)
    assert handed == alone == (0, b"basename\n")


def test_a_lock_of_an_import_is_not_held_for_others(tmp_path: Path) -> None:
    package = "import multiprocessing\nLOCK = multiprocessing.Lock()\n" + PACKAGE
    with pretended_warm(tmp_path, package=package) as program:
        program.do("LOCK.acquire(); os.kill(os.getpid(), 9)")
        assert program.do("print(LOCK.acquire(timeout=0))") == (0, b"True\n")


def test_the_names_of_logs_begin_with_the_time_of_the_command(tmp_path: Path) -> None:
    """As `autosubmit.log.log` has it, whose class takes the time while it is imported."""
    package = (
        "import sys, types\nmodule = sys.modules['autosubmit.log.log'] = types.ModuleType('autosubmit.log.log')\n"
        "module.Log = type('Log', (), {'date': '19991231_235959_'})\n" + PACKAGE
    )
    with pretended_warm(tmp_path, package=package) as program:
        before = time.strftime("%Y%m%d_%H%M%S_")
        _, printed = program.do("print(module.Log.date)")
    assert before <= printed.decode().strip() <= time.strftime("%Y%m%d_%H%M%S_")


def test_what_an_import_makes_is_readable_for_whom_the_commands_let_read_it(tmp_path: Path) -> None:
    package = f"import os\nopen(f'{tmp_path}/cache-{{os.getpid()}}', 'w')\n" + PACKAGE
    before = os.umask(0o077)
    try:
        with pretended_warm(tmp_path, package=package) as program:
            assert oct((tmp_path / f"cache-{program.pid}").stat().st_mode)[-3:] == "644"
    finally:
        os.umask(before)


def test_warnings_of_an_import_are_printed_by_each_command(tmp_path: Path) -> None:
    package = "import sys\nprint('on stdout')\nprint('old cipher', file=sys.stderr)\n" + PACKAGE
    with pretended_warm(tmp_path, package=package) as program:
        for _ in range(2):
            alone, handed = do_both(program, "print('done')")
            assert handed == alone


@pytest.mark.parametrize("word", ["", "-x", "two\nlines\n", "back\\slash \\n", "é \udce9", "'$(id)'"])
def test_words_reach_a_command_as_they_are(program: Pretended, word: str) -> None:
    for is_warm in (False, True):
        _, printed = program.do("print(ascii(sys.argv[2]))", word, is_warm=is_warm)
        assert printed.decode() == f"{word!a}\n"


def test_files_of_a_run_directory_are_those_of_a_launcher(program: Pretended) -> None:
    alone, handed = (program.start("open('made', 'w')", is_warm=is_warm, umask=0o027) for is_warm in (False, True))
    program.end(alone), program.end(handed)
    found = [
        sorted((file.name, oct(file.stat().st_mode)) for file in program.spool.find(key).path.iterdir())
        for key in (alone, handed)
    ]
    assert found[0] == found[1]


def test_commands_run_beside_each_other(program: Pretended, tmp_path: Path) -> None:
    first = program.start(WAIT.format(str(tmp_path / "go")))
    assert program.do("status = 3") == (3, b"")
    assert program.spool.find(first).look().state is State.ALIVE
    (tmp_path / "go").touch()
    assert program.end(first) == (0, b"up\n")


def test_a_command_is_ended(program: Pretended) -> None:
    key = program.start(WAIT.format("/nowhere"))
    wait_for(lambda: program.spool.find(key).read_output(0, 10).data)
    program.spool.find(key).end()
    assert program.end(key)[0] == 128 + signal.SIGTERM


def test_a_command_that_ignores_its_end_is_killed_with_its_group(
    program: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = program.start("import signal; signal.signal(15, signal.SIG_IGN); os.system('echo up; sleep 600')")
    run = program.spool.find(key)
    wait_for(lambda: run.read_output(0, 10).data)
    run.end()
    assert run.look().state is State.ALIVE
    monkeypatch.setattr("autosubmit_portal.agent.run_directory.PATIENCE_SECONDS", -1)
    run.end()
    wait_for(lambda: run.look().state is State.GONE)


def test_a_command_goes_on_when_the_warm_process_is_killed(own: Pretended, tmp_path: Path) -> None:
    key = own.start(WAIT.format(str(tmp_path / "go")))
    wait_for(lambda: own.spool.find(key).look().state is State.ALIVE)
    os.kill(own.pid, signal.SIGKILL)
    (tmp_path / "go").touch()
    assert own.end(key) == (0, b"up\n")


def test_a_command_that_a_killed_process_has_not_begun_is_started(own: Pretended, tmp_path: Path) -> None:
    os.kill(own.pid, signal.SIGSTOP)
    key = own.start(f"open({str(tmp_path / 'done')!r}, 'a').write('x'); print(IMPORTED_IN == os.getpid())")
    assert own.spool.find(key).look().state is State.NOT_STARTED
    os.kill(own.pid, signal.SIGKILL)
    assert own.end(key) == (0, b"True\n")
    assert (tmp_path / "done").read_text() == "x"


# Kills a process of the warm Autosubmit when it comes to a call of this module, once there is a file that says so.
KILL_AT = """
import os, signal
def dying(*words, real=os.{call}, **options):
    if os.path.exists({mark!r}):
        os.unlink({mark!r})
        os.kill(os.{whom}(), signal.SIGKILL)
    return real(*words, **options)
os.{call} = dying
"""


@pytest.mark.parametrize(
    ("call", "whom"),
    [("fork", "getpid"), ("setsid", "getpid"), ("link", "getpid"), ("setsid", "getppid"), ("link", "getppid")],
)
def test_a_command_runs_once_wherever_what_begins_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, whom: str
) -> None:
    monkeypatch.setattr(warm, "BEGIN_SECONDS", 3.0)
    mark = tmp_path / "mark"
    package = KILL_AT.format(call=call, whom=whom, mark=str(mark)) + PACKAGE
    with pretended_warm(tmp_path, package=package) as program:
        mark.touch()
        assert program.do(f"open({str(tmp_path / 'done')!r}, 'a').write('x'); print('done')") == (0, b"done\n")
        assert not mark.exists()
    assert (tmp_path / "done").read_text() == "x"


def test_a_command_whose_exit_status_was_lost_is_unknown_and_not_started_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    package = KILL_AT.format(call="replace", whom="getpid", mark=str(mark)) + PACKAGE
    with pretended_warm(tmp_path, package=package) as program:
        mark.touch()
        append = f"open({str(tmp_path / 'done')!r}, 'a').write('x')"
        key = program.start(append)
        wait_for(lambda: program.spool.find(key).look().state is State.GONE)
        assert program.answer(key, append).outcome is Outcome.STARTED_BEFORE
    assert (tmp_path / "done").read_text() == "x"


def test_an_import_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "IMPORT_SECONDS", 0.1)
    package = "import sys, time\nif sys.argv[0] == '-c': time.sleep(600)\n" + PACKAGE
    with pretended(tmp_path, write_program(tmp_path / "bin", package=package)) as program:
        assert program.do(OWN_PROCESS) == (0, b"True\n")
        wait_for(lambda: program.warm.tend() or is_gone(program.pid))  # type: ignore[func-returns-value]


def test_a_process_that_hangs_is_ended_and_its_command_started(own: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "BEGIN_SECONDS", 0.1)
    pid = own.pid
    os.kill(pid, signal.SIGSTOP)
    assert own.do(OWN_PROCESS) == (0, b"True\n")
    wait_for(lambda: is_gone(pid))


def test_a_command_that_both_start_runs_once(own: Pretended, tmp_path: Path) -> None:
    os.kill(own.pid, signal.SIGSTOP)
    key = own.start(f"open({str(tmp_path / 'done')!r}, 'a').write('x')")
    own.spool.find(key).launch(own.environment, 0o022)
    os.kill(own.pid, signal.SIGCONT)
    own.end(key)
    own.do("pass")  # which the warm process begins after the other one
    assert (tmp_path / "done").read_text() == "x"
    assert own.is_warm


def test_a_command_that_was_given_up_before_a_slow_process_begins_it_never_runs(own: Pretended, tmp_path: Path) -> None:
    os.kill(own.pid, signal.SIGSTOP)
    key = own.start(f"open({str(tmp_path / 'done')!r}, 'a').write('x')")
    assert own.spool.give_up(key)
    os.kill(own.pid, signal.SIGCONT)
    own.do("pass")
    assert own.spool.find(key).look().state is State.GIVEN_UP
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("_round", range(5))
def test_who_gives_up_while_it_begins_is_told_the_truth(program: Pretended, tmp_path: Path, _round: int) -> None:
    key = program.start(f"open({str(tmp_path / 'done')!r}, 'a').write('x')")
    is_given_up = program.spool.give_up(key)
    program.do("pass")
    if not is_given_up:
        program.end(key)
    assert (tmp_path / "done").exists() is not is_given_up


def test_the_same_request_again_starts_nothing(program: Pretended, tmp_path: Path) -> None:
    append = f"open({str(tmp_path / 'done')!r}, 'a').write('x')"
    key = program.start(append)
    assert program.answer(key, append).outcome in (Outcome.STARTED, Outcome.STARTED_BEFORE)
    program.end(key)
    assert program.answer(key, append).outcome is Outcome.STARTED_BEFORE
    assert (tmp_path / "done").read_text() == "x"


@pytest.mark.parametrize("name", ["pretended.py", "autosubmit", "another_package"])
def test_another_version_is_not_run_by_the_process_of_the_one_before(own: Pretended, name: str) -> None:
    pid = own.pid
    file = own.program.parent / name
    text = file.read_text().replace("found.get", "'new' and found.get") if file.exists() else ""
    file.unlink(missing_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    assert own.do(OWN_PROCESS) == (0, b"True\n")
    own.start("pass")
    wait_for(lambda: own.is_warm)
    assert own.pid != pid
    assert own.do(OWN_PROCESS) == (0, b"False\n")


def test_each_set_of_variables_has_a_process_that_was_started_with_them(own: Pretended) -> None:
    own.environment = {**own.environment, "SITE": "es"}
    assert own.do("print(IMPORTED_IN == os.getpid(), os.environ['SITE'])") == (0, b"True es\n")
    assert len(own.warm._processes) == 2


def test_another_program_is_not_run_by_the_process_of_the_first(own: Pretended, tmp_path: Path) -> None:
    own.program = write_program(tmp_path / "other", package=PACKAGE.replace("found =", "print('other')\n    found ="))
    assert own.do(OWN_PROCESS) == (0, b"other\nTrue\n")
    own.start("pass")
    wait_for(lambda: own.do(OWN_PROCESS) == (0, b"other\nFalse\n"))


def test_a_command_as_another_account_is_a_process_of_its_own(own: Pretended) -> None:
    """Which is a program that becomes that account, and is none of Python."""
    words = ["/usr/bin/env", str(own.program), OWN_PROCESS]
    own.spool.start(KEY, "cd" * 32, words, own.environment, 0o022, launch=own.warm.launch)
    assert own.end(KEY) == (0, b"True\n")


def test_what_cannot_be_imported_is_a_command_that_fails_and_is_not_tried_again_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = write_program(tmp_path / "bin", package="raise ImportError('libssl is missing')")
    with pretended(tmp_path, program) as broken:
        status, printed = broken.do("pass")
        assert (status, b"libssl is missing" in printed) == (1, True)
        (process,) = broken.warm._processes.values()
        wait_for(lambda: broken.warm.tend() or not process.is_alive)  # type: ignore[func-returns-value]
        assert "libssl is missing" in capfd.readouterr().err
        assert broken.do("pass")[0] == 1
        assert [process] == list(broken.warm._processes.values())


def test_a_program_that_is_not_python_is_a_command(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho sh $1\n")
    program.chmod(0o755)
    with pretended(tmp_path, program) as other:
        assert other.do("hello") == (0, b"sh hello\n")


def test_a_program_that_is_missing_ends_as_a_shell_says(tmp_path: Path) -> None:
    with pretended(tmp_path, tmp_path / "program") as missing:
        assert missing.do("hello")[0] == 127


@pytest.mark.parametrize(
    ("first", "interpreter"),
    [
        ("#!/opt/as/bin/python3.9\n", ["/opt/as/bin/python3.9"]),
        ("#! /opt/as/bin/python -s -E\n", ["/opt/as/bin/python", "-s -E"]),
        ("#!/usr/bin/env python3\n", [f"{sys.prefix}/bin/python3"]),
        ("#!/usr/bin/env nothing-of-this-name\n", []),
        ("#!/bin/sh\n", []),
        ("import sys\n", []),
        ("", []),
    ],
)
def test_the_python_of_a_program_is_that_of_its_first_line(tmp_path: Path, first: str, interpreter: list[str]) -> None:
    file = tmp_path / "program"
    file.write_text(first)
    assert find_interpreter(file, f"{sys.prefix}/bin") == interpreter


def test_a_warm_process_ends_with_its_agent(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from tests.agent.pretend import Pretended, write_program
program = Pretended(pathlib.Path({str(tmp_path)!r}), write_program(pathlib.Path({str(tmp_path / "bin")!r})))
program.wait_until_warm()
print(program.pid, flush=True)
os._exit(0)
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    wait_for(lambda: not Path(f"/proc/{told.stdout.strip()}/exe").exists())


def test_a_warm_process_that_nobody_uses_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "IDLE_SECONDS", 0.01)
    with pretended(tmp_path, write_program(tmp_path / "bin")) as program:
        program.start("pass")
        wait_for(lambda: is_gone(program.pid))
        assert program.do(OWN_PROCESS) == (0, b"True\n")


def test_a_warm_process_imports_nothing_from_the_folder_of_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ctypes.py").write_text("raise SystemExit('taken from the wrong folder')")
    monkeypatch.chdir(tmp_path)
    with pretended_warm(tmp_path / "site") as program:
        assert program.is_warm


# --- At the agent


@pytest.mark.parametrize(
    ("procedures", "asked"), [({"restart": "package"}, {}), ({}, {"procedure": "package"})], ids=["site", "portal"]
)
def test_a_run_is_a_process_of_its_own_though_its_kind_is_handed_over(
    tmp_path: Path, procedures: dict[str, str], asked: dict[str, str]
) -> None:
    """As the second step of a restart is."""
    site: dict[str, Any] = {
        "program": str(write_program(tmp_path / "bin", package=PACKAGE.replace("exec(code", "exec(sys.argv[2]"))),
        "kinds": {"restart": ["recovery", "run"]},
        "procedures": procedures,
    }
    with agent(tmp_path, **site) as channel:
        keys = (f"7d1f6c9a-84f1-4b7e-a6c4-{number:012x}" for number in range(1, 10_000))

        def do(word: str) -> bytes:
            key = next(keys)
            channel.start(word, OWN_PROCESS, kind="restart", key=key, **asked)
            return channel.follow(key)[1]

        wait_for(lambda: do("recovery"), is_enough=lambda printed: printed == b"False\n")
        assert do("run") == b"True\n"


@pytest.mark.parametrize(
    ("procedures", "asked"),
    [({"create": "package"}, {}), ({"run": "command"}, {"procedure": "package"})],
    ids=["not chosen", "forbidden by the site"],
)
def test_a_kind_without_a_procedure_is_a_process_of_its_own(
    tmp_path: Path, procedures: dict[str, str], asked: dict[str, str]
) -> None:
    site: dict[str, Any] = {
        "program": str(write_program(tmp_path / "bin")),
        "kinds": {"run": [OWN_PROCESS]},
        "procedures": procedures,
    }
    with agent(tmp_path, **site) as channel:
        for number in range(3):
            key = f"7d1f6c9a-84f1-4b7e-a6c4-{number:012x}"
            channel.start(OWN_PROCESS, key=key, **asked)
            assert channel.follow(key)[1] == b"True\n"


@pytest.mark.parametrize(
    ("procedures", "reason"),
    [
        ({"run": "package"}, "the procedure of “run” is always “command”"),
        ({"create": "fast"}, "the procedure of “create” must be “command” or “package”"),
        (["create"], "“procedures” must be an object"),
    ],
)
def test_a_site_file_with_a_procedure_that_is_none_is_refused(tmp_path: Path, procedures: Any, reason: str) -> None:
    with pytest.raises(BadSiteFileError, match=reason):
        read_site_file(write_site_file(tmp_path, procedures=procedures))
