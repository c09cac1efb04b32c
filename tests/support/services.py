"""A whole portal as separate processes, and small tools for the tests that talk to one."""

import atexit
import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import string
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import psycopg

from autosubmit_portal.management.demo import TIMEOUT_SECONDS, Autosubmit
from autosubmit_portal.management.processes import MANAGE, make_commands
from tests.support.postgres import Postgres, dump, execute
from tests.support.shared import once, run_folder
from tests.support.waiting import PATIENCE, wait_for
from tests.support.workflows import KINDS

# Limits that nobody reaches, for whoever measures or floods; what is asked is counted all the same.
UNBOUNDED = {f"PORTAL_THROTTLE_{name}": "1000000000/min" for name in ("READS", "ACTIONS", "ANONYMOUS")}


CREATE_USER = """
import os
from django.contrib.auth.models import Group, User
from tests.support.factories import create_token
user = User.objects.create_user(os.environ["NAME"], password=os.environ["WORD"])
user.groups.add(Group.objects.get(name=os.environ["ROLE"]))
print(create_token(user))
"""


# Where no worker does: pages that are read through an agent need it at once.
AWAIT_HOSTS = """
from experiments import hosts
from experiments.models import Host
from tests.support.waiting import wait_for
wait_for(lambda: not hosts.await_hosts([*Host.objects.all()]))
"""


# Experiments that Autosubmit takes for ones of another kind begin with the others. Somebody may run tests beside us.
_LETTER = random.choice("bcdfghijklmnpqrsuvwxyz")
_BLOCKS = cycle(string.digits + string.ascii_lowercase)


def prepare(autosubmit: Autosubmit) -> None:
    """Prepare a home whose expids (36 of them) are those of no other home that is in use on this host.

    `autosubmit stop` ends the first run of an expid that it finds on the host, whatever home that is in. The name that
    Autosubmit counts from ends with a digit that is not ASCII: it takes such names, and the portal does not list them.
    """
    autosubmit.prepare()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    last = f"{_LETTER}{worker[-1]}{next(_BLOCKS)}\N{ARABIC-INDIC DIGIT ZERO}"
    with closing(sqlite3.connect(autosubmit.home / "autosubmit" / "autosubmit.db")) as database, database:
        database.execute("INSERT INTO experiment (name, description, autosubmit_version) VALUES (?, '', '4')", [last])


@dataclass(frozen=True, slots=True)
class ForkedAutosubmit(Autosubmit):
    """The same program and home for what tests need and do not test: imported once, and forked for each command."""

    def _run(self, arguments: tuple[str, ...], folder: str) -> tuple[int, bytes]:
        output = Path(folder).with_suffix(".output")
        output.touch()
        order = {
            "command": [str(self.program), *arguments],
            "environment": self.environment,
            "folder": folder,
            "output": str(output),
            "seconds": TIMEOUT_SECONDS,
        }
        status = _forks_of(self.program).ask(json.dumps(order))
        printed = output.read_bytes()
        output.unlink()
        return int(status), printed


# An argument that says nothing: the forks write their own command line over that of their parent.
_ROOM = 4000 * "-"


class _Forks:
    """The process that forks: it answers a line with a line."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [str(program.parent / "python"), str(Path(__file__).with_name("autosubmit_forks.py")), _ROOM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.process.communicate)  # the end of its input ends it

    def ask(self, line: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline()


_forks_of = cache(_Forks)


# Below those that Linux hands out by itself, to whoever listens at none in particular or connects to another.
_PORTS = range(10_000, 32_768)


def free_port() -> int:
    """Return a port that nobody listens on, and that nobody else in this run of the tests was given."""
    with (run_folder() / "ports").open("a+") as given:
        fcntl.flock(given, fcntl.LOCK_EX)
        given.seek(0)
        taken = {int(line) for line in given}
        port = next(port for port in map(random.choice, repeat(_PORTS)) if port not in taken and _is_free(port))
        print(port, file=given)
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def processes_with(name: str, value: object) -> dict[int, str]:
    """Return the command lines of the living processes with this variable in their environment, by pid."""
    marker = f"{name}={value}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and marker in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # it ended meanwhile, or is none of ours
    return found


def find_processes(*parts: str) -> list[int]:
    """Return the living processes whose command lines have all of these parts."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            if all(part in line for part in parts):
                found.append(int(folder.name))
    return found


def find_parent(pid: int) -> int:
    """Return the parent of a process; 0 if it is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def children_of(pid: int) -> str:
    """Return the command lines of the children of a process; blank if it has none or is gone."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return " ".join(Path(f"/proc/{child}/cmdline").read_text() for child in children)
    return ""


def processes_of(home: Path) -> dict[int, str]:
    """Return what runs in an Autosubmit home: its commands and the jobs that they started, by pid."""
    return processes_with("HOME", home)


def kill_processes_of(home: Path) -> None:
    """Kill what runs in an Autosubmit home: long experiments whose tests are done."""
    for pid in processes_of(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP server answered; `body` is parsed when it is JSON, text otherwise."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Http:
    """A client of the API that holds a token, or none."""

    url: str
    token: str = ""
    timeout: float = PATIENCE

    def get(self, path: str, **headers: str) -> Answer:
        """GET a path."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST a body as JSON; headers as keywords (Prefer="wait=5", Idempotency_Key="x")."""
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        """PATCH a path with a body as JSON."""
        return self.call("PATCH", path, body, **headers)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request and return the answer, whatever its status."""
        sent = {"Accept": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url.rstrip("/") + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)


def _answer(response: Any) -> Answer:
    text = response.read().decode()
    is_json = "json" in response.headers.get("Content-Type", "")
    return Answer(response.status, dict(response.headers), json.loads(text) if is_json else text)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account of a portal: its password for the console, its token for the API."""

    username: str
    password: str
    token: str


@dataclass(slots=True)
class Portal:
    """A portal of its own: home, database, Autosubmit home, and its three processes, as `manage.py portal` has them.

    `autosubmit_home` must be configured. Start it with `start()`; `stop`, `kill` and `start` also take the name of
    one process: web, worker, mirror, and worker-2 and so on when there are several `workers`. `variables` are further
    settings, `variables_of` those of one process.
    """

    home: Path
    autosubmit: Autosubmit
    database_url: str = ""
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    credentials: Credentials = Credentials("", "", "")
    variables: dict[str, str] = field(default_factory=dict)
    variables_of: dict[str, dict[str, str]] = field(default_factory=dict)
    workers: int = 1

    @property
    def url(self) -> str:
        """The address of the console."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> Http:
        """A client of the API with the token of the first account."""
        return Http(self.url, self.credentials.token)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        ours = {
            "DJANGO_SETTINGS_MODULE": "autosubmit_portal.settings",
            "PORTAL_HOME": str(self.home),
            "PORTAL_WORKERS": "2",
            "PORTAL_LOG_LEVEL": "WARNING",
        }
        if self.database_url:
            ours["PORTAL_DATABASE_URL"] = self.database_url
        return inherited | ours | self.variables

    @property
    def make_commands(self) -> dict[str, list[str]]:
        """The command of each process by its name."""
        every = make_commands("127.0.0.1", self.port)
        del every["gateway"]  # its workers start it when they need it
        return every | {f"worker-{number}": every["worker"] for number in range(2, self.workers + 1)}

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a management command to its end and return what it printed; AssertionError when it fails."""
        done = subprocess.run(
            [*MANAGE, *arguments],
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def make_tables(self) -> None:
        """Make the tables, with the key that their first audit entries have; the database must be empty."""
        self._copy("tables", lambda original: original.manage("migrate", "--verbosity=0"))

    def set_up(self, *, refresh_seconds: float = 0.25) -> None:
        """Make the tables, the site and the first account."""
        self._copy("set-up", Portal._bootstrap)
        self._take_site_over(refresh_seconds)
        lines = (self.home / "credentials").read_text().splitlines()
        self.credentials = Credentials(**dict(line.split("=", 1) for line in lines))

    def _copy(self, name: str, fill: Callable[["Portal"], object]) -> None:
        """Take what a portal has that is filled once in a run of the tests for each kind of database."""
        kind = "postgresql" if self.database_url else "sqlite"
        made = once(f"{name}-{kind}", partial(self._make_original, fill))
        if self.database_url:
            execute((made / "rows.sql").read_text(), self.database_url)
        for file in ("portal.sqlite3", "secret_key", "credentials"):
            if (made / file).exists():
                shutil.copy(made / file, self.home)

    def _make_original(self, fill: Callable[["Portal"], object], home: Path) -> None:
        """Fill another portal in a home; of one on PostgreSQL, keep the database as SQL."""
        if not self.database_url:
            fill(Portal(home, self.autosubmit))
            return
        server = Postgres(self.database_url)
        url = server.create_database()
        fill(Portal(home, self.autosubmit, url))
        (home / "rows.sql").write_text(dump(url))
        server.drop_database(url)

    def _bootstrap(self) -> None:
        self.make_tables()
        self.manage("bootstrap", "--autosubmit", str(self.autosubmit.program), "--store", str(self.autosubmit.home))

    def _take_site_over(self, refresh_seconds: float) -> None:
        """Let the site that was copied serve our Autosubmit."""
        program, home = (str(path).replace("'", "''") for path in (self.autosubmit.program, self.autosubmit.home))
        values = f"autosubmit = '{program}', home = '{home}', refresh_seconds = {refresh_seconds}"
        statement = f"UPDATE experiments_site SET {values}"
        if self.database_url:
            execute(statement, self.database_url)
            return
        with closing(sqlite3.connect(self.home / "portal.sqlite3")) as database, database:
            database.execute(statement)

    def create_user(self, role: str) -> Credentials:
        """Create an account in the group of a role (Viewer, Operator, Manager), who may sign in to the console."""
        name, password = f"{role.lower()}-{secrets.token_hex(3)}", secrets.token_urlsafe(12)
        token = self.manage("shell", "--no-imports", "-c", CREATE_USER, NAME=name, WORD=password, ROLE=role)
        return Credentials(name, password, token.strip())

    def make_experiment(self, kind: str, **options: Any) -> str:
        """Make an experiment of a kind of tests/support/workflows.py at its site, as a user with a terminal would."""
        return KINDS[kind](**options).make(self.autosubmit, generate=kind != "waiting")

    def start_from_terminal(self, expid: str) -> subprocess.Popen[bytes]:
        """Start `autosubmit run` as a user with a terminal would, without the portal."""
        return subprocess.Popen(
            [str(self.autosubmit.program), "run", expid],
            env=self.autosubmit.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(self, *names: str) -> None:
        """Start the processes named, by default all, and wait until the web server answers."""
        if names and "worker" not in names and "web" in names:
            self.manage("shell", "--no-imports", "-c", AWAIT_HOSTS)
        for name in names or tuple(self.make_commands):
            self.spawn(name)
        if "web" in self.processes:
            wait_for(self._answers)

    def spawn(self, name: str) -> None:
        """Start one process and wait for nothing."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.make_commands[name],
                env=self.environment | self.variables_of.get(name, {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, *names: str) -> None:
        """Stop the processes named, by default all, as a supervisor does: SIGTERM to each one itself."""
        for name in names or tuple(self.processes):
            self.processes[name].terminate()
        for name in names or tuple(self.processes):
            self.processes.pop(name).wait(PATIENCE)

    def kill(self, *names: str) -> None:
        """Kill -9 the processes named, by default all, with all their children but not the experiments."""
        for name in names or tuple(self.processes):
            process = self.processes.pop(name)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def tear_down(self) -> None:
        """Kill what is left of the portal and of its experiments."""
        self.kill()
        self.kill_gateway()
        kill_processes_of(self.autosubmit.home)

    def kill_gateway(self) -> None:
        """Kill -9 the gateway, if one runs; its agents end by themselves."""
        for pid in self.find_gateways():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def find_gateways(self) -> list[int]:
        """Return the processes of our own gateway; what one starts has its command line until it has its own."""
        found = find_processes("autosubmit_portal.gateway", str(self.home / "gateway" / "hosts.json"))
        return [pid for pid in found if find_parent(pid) not in found]

    def find_agents(self) -> list[int]:
        """Return the agents of our own gateway."""
        return find_processes("/agent-", str(self.home / "gateway" / "site-"))

    def find_directory(self, action: int, step: int = 0) -> Path:
        """Return the run directory of a command; its host forgets it when the action has ended."""
        statement = f"SELECT key FROM experiments_step WHERE action_id = {action} AND number = {step}"
        if self.database_url:
            with psycopg.connect(self.database_url.replace("postgres://", "postgresql://", 1)) as server:
                found = server.execute(statement).fetchone()
        else:
            with closing(sqlite3.connect(self.home / "portal.sqlite3", timeout=60)) as database:
                found = database.execute(statement).fetchone()
        portal_id = self.home / "portal_id"
        return self.home / "spool" / (portal_id.read_text() if portal_id.exists() else "none") / (found or ["none"])[0]

    def log(self, name: str) -> str:
        """Return what a process printed."""
        return (self.home / f"{name}.log").read_text()

    def _answers(self) -> bool:
        try:
            return Http(self.url, timeout=5).get("/healthz").status > 0
        except OSError:
            assert self.processes["web"].poll() is None, self.log("web")
            return False


def collected_static_files() -> Path:
    """Return the folder of the static files, collected once in a run of the tests or of the bench."""
    return once("static-files", _collect) / "static"


def _collect(home: Path) -> None:
    Portal(home, Autosubmit(Path("/nowhere"), home)).manage("collectstatic", "--no-input", "--verbosity=0")
