"""Autosubmit that is imported once and forked for each command. Autosubmit's own Python runs this text, 3.9 or newer.

    python -c TEXT PROGRAM FOLDER UMASK IDLE_SECONDS

Descriptor 3 is a socket to the agent. The first message to it is READY. An order is the umask and the run directory of
a command; its answer is the name of that directory, as soon as it is decided who runs the command. The process ends
when the agent closes the socket, when nobody has ordered anything for long, and instead of doing an order when
something that was imported has changed since.

A command finds what a new process would find, and its run directory is kept as `launch.sh` keeps it. What Autosubmit
reads while it is imported is either the same for each command of this process, as the variables and the account are, or
`renew` makes it anew.
"""

import ast
import ctypes
import gc
import linecache
import os
import re
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from types import CodeType, ModuleType
from typing import Any, NoReturn

CHANNEL = 3
READY = b"ready"
MOST_ORDER_BYTES = 8192
TICK_SECONDS = 5.0
FOR_THE_COMMAND = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
Version = tuple[int, ...]


def import_what_it_imports(program: str) -> CodeType:
    """Run the imports of a program and nothing else of it; return its whole code."""
    with open(program, "rb") as file:
        source = file.read()
    tree = ast.parse(source, program)
    tree.body = [statement for statement in tree.body if isinstance(statement, (ast.Import, ast.ImportFrom))]
    exec(compile(tree, program, "exec", dont_inherit=True), {"__name__": "imports"})  # noqa: S102
    return compile(source, program, "exec", dont_inherit=True)


def read_versions(program: str, folder: str) -> dict[str, Version]:
    """Return what changes when the program, a package or the time zone does.

    A package that is installed or removed changes the folder that it lies in.
    """
    files = {program, sys.executable, *sys.path} - {"", folder}
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")  # getattr of the module would load a lazy one
        if isinstance(file, str):
            files.add(file)
    return {"time zone": (time.localtime().tm_gmtoff,), **{file: read_version(file) for file in files}}


def read_version(file: str) -> Version:
    """Return what changes when a file does; nothing for a file that is not there."""
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def wait_for_order(channel: socket.socket, idle_seconds: float) -> bytes:
    """Return the next order; an empty one is the end. Meanwhile commands that have ended are waited for."""
    deadline = time.monotonic() + idle_seconds
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if select.select([channel], [], [], min(TICK_SECONDS, idle_seconds))[0]:
            with suppress(OSError):  # the agent was killed
                return channel.recv(MOST_ORDER_BYTES)
            break
    return b""


def serve(channel: socket.socket, program: str, folder: str, idle_seconds: float) -> tuple[int, str]:
    """Fork for each order. Returns in the process that is to run a command, with its umask and its run directory."""
    versions = read_versions(program, folder)
    channel.send(READY)
    while True:
        order = wait_for_order(channel, idle_seconds)
        if not order or read_versions(program, folder) != versions:
            os._exit(0)
        umask, _, directory = os.fsdecode(order).partition(" ")
        if not os.fork():
            keep_run_directory(channel, directory)
            return int(umask, 8), directory


def keep_run_directory(channel: socket.socket, directory: str) -> None:
    """Do what `launch.sh` does. Returns in the process that is to run the command, which is a child of this one."""
    os.setsid()
    for number in FOR_THE_COMMAND:
        signal.signal(number, let_pass)
    os.umask(0o077)
    try:
        os.chdir(directory)
        is_taken = take()
    except (OSError, ValueError):
        os._exit(125)
    with suppress(OSError):
        channel.send(os.fsencode(os.path.basename(directory)))
    channel.close()
    if not is_taken:
        os._exit(125)
    # A signal that comes now is neither lost nor passed by: it waits until the command has its own handlers.
    signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_COMMAND)
    command = os.fork()
    if command:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_COMMAND)
        point_streams("/dev/null")
        keep_exit_status(os.waitpid(command, 0)[1])


def let_pass(_number: int, _frame: object) -> None:
    """Take a signal that is for the command."""


def take() -> bool:
    """Make `pid` if nobody has; whoever makes it runs the command."""
    with open("request", encoding="utf-8") as file:
        _digest, identity = file.readline().rstrip("\n").split(" ", 1)
    new = f"pid.{os.getpid()}"
    with open(new, "x", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {read_stat()[19]} {identity}\n")
    try:
        os.link(new, "pid")
    except FileExistsError:
        return False
    finally:
        os.unlink(new)
    return True


def keep_exit_status(status: int) -> NoReturn:
    """Leave the exit status as a shell tells it, then end.

    A disk that is full must not lose it: wait for room, for as long as somebody may still ask.
    """
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    with suppress(OSError):
        tell_signal(status)
    while True:
        with suppress(OSError):
            with open("exit_status.new", "w", encoding="utf-8") as file:
                file.write(f"{code}\n")
            os.replace("exit_status.new", "exit_status")
            os._exit(0)
        if not os.path.exists("argv"):
            os._exit(125)
        time.sleep(1)


def tell_signal(status: int) -> None:
    """Print what a command has died of, as the shell of `launch.sh` does."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) not in (signal.SIGINT, signal.SIGPIPE):
        core = " (core dumped)" if os.WCOREDUMP(status) else ""
        with open("output", "a", encoding="utf-8") as file:
            file.write(f"{signal.strsignal(os.WTERMSIG(status))}{core}\n")


def become_new(interpreter: list[str], umask: int) -> None:
    """Make this process what a new one is when the interpreter begins with the command of the run directory."""
    with open("argv", "rb") as file:
        lines = file.read().split(b"\n")[:-1]
    command = [os.fsdecode(re.sub(rb"\\(.)", unescape, line)) for line in lines]
    for number in FOR_THE_COMMAND:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_COMMAND)
    os.umask(umask)
    point_streams("output")
    sys.argv = command
    getattr(sys, "orig_argv", [])[:] = [*interpreter, *command]  # from 3.10
    show_as([*interpreter, *command], os.path.basename(command[0]))


def unescape(found: "re.Match[bytes]") -> bytes:
    """Return the character that `run_directory` has written with a backslash."""
    return b"\n" if found[1] == b"n" else found[1]


def point_streams(output: str) -> None:
    """Have nothing to read, and write to the end of a file."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    end = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for number, opened in enumerate((nothing, end, end)):
        os.dup2(opened, number)
    os.close(nothing)
    os.close(end)


def renew(folder: str, directory: str) -> None:
    """Make anew what Autosubmit and its packages have made of the time, the folder and chance while imported."""
    sys.path[:] = [directory if path == folder else path for path in sys.path]
    for name in ("autosubmit.log.log", "log.log"):  # the second up to 4.1.11
        log: Any = getattr(sys.modules.get(name), "Log", None)
        if hasattr(log, "date"):
            log.date = time.strftime("%Y%m%d_%H%M%S_")  # the names of the logs begin with it
    if "multiprocessing.synchronize" in sys.modules:
        renew_multiprocessing(directory)


def renew_multiprocessing(directory: str) -> None:
    """Share no lock with other commands, one of which may be killed while it holds it, and begin where this one is."""
    from multiprocessing import get_context, process, util
    from multiprocessing.synchronize import Lock, RLock

    process.ORIGINAL_DIR = directory  # type: ignore[attr-defined]
    process.current_process().authkey = os.urandom(32)
    for lock in list(vars(util).get("_afterfork_registry", {}).values()):
        for kind in (Lock, RLock):
            if type(lock) is kind:
                kind.__init__(lock, ctx=get_context())


def show_as(line: list[str], name: str) -> None:
    """Let others see this command line and name: Autosubmit and the portal tell by them what a process does.

    The line is written where the kernel reads it, between the addresses that are fields 48 and 49 of /proc/self/stat
    (proc(5)). There is room for as much as this text has.
    """
    stat = read_stat()
    start, end = int(stat[45]), int(stat[46])
    data = b"\0".join(map(os.fsencode, line))[: end - start - 1]
    ctypes.memmove(start, data.ljust(end - start, b"\0"), end - start)
    with open("/proc/self/comm", "wb") as file:
        file.write(os.fsencode(name)[:15])


def read_stat() -> list[str]:
    """Return what the kernel tells of this process after its name (proc(5))."""
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def find_interpreter() -> list[str]:
    """Return how the interpreter was called, without what it was to do."""
    with open("/proc/self/cmdline", "rb") as file:
        line = [os.fsdecode(word) for word in file.read().split(b"\0")]
    return line[: line.index("-c")]


def make_main(program: str) -> ModuleType:
    """Return the module that the code of a program runs in; children of multiprocessing import it again by its file."""
    made = ModuleType("__main__")
    made.__dict__.update(__file__=program, __cached__=None, __builtins__=__builtins__)
    sys.modules["__main__"] = made
    return made


def tell_exception(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print an exception without the frame that is not of the command."""
    sys.__excepthook__(kind, error.with_traceback(trace.tb_next), trace.tb_next)


if __name__ == "__main__":
    program, folder, import_umask, idle_seconds = sys.argv[1:5]
    interpreter, before = find_interpreter(), os.getcwd()
    channel = socket.socket(fileno=CHANNEL)
    linecache.clearcache()  # from 3.13 it has this text, whose lines would be shown for whatever is "<string>" as well
    show_as(["autosubmit-portal: waits for commands of", program], "warm")
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path.insert(0, os.path.dirname(os.path.realpath(program)))
    os.chdir(folder)
    os.umask(int(import_umask, 8))  # caches that an import makes are for whom the command lets read them
    code = import_what_it_imports(program)
    printed = os.pread(1, os.fstat(1).st_size, 0)  # warnings, which each command prints
    gc.collect()
    gc.freeze()  # a collection in a child would copy all pages
    umask, directory = serve(channel, program, folder, float(idle_seconds))
    become_new(interpreter, umask)
    os.write(1, printed)
    os.environ.update(PWD=directory, OLDPWD=before)  # as the shell that `launch.sh` runs in
    renew(folder, directory)
    sys.excepthook = tell_exception
    exec(code, make_main(program).__dict__)  # noqa: S102
