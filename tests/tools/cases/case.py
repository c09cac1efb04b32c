"""One case from its beginning to its end: what is common to all, and what a case has of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from autosubmit_portal.management.demo import Section, set_value
from experiments.catalogue.kinds import CATALOGUE
from tests.support.site_host import PYTHON, REPOSITORY
from tests.support.unix_accounts import new_accounts
from tests.support.waiting import wait_for
from tests.tools.cases import servers, tables
from tests.tools.cases.hosts import Host, Link, Missing, make_host, make_link, require
from tests.tools.cases.portal import CasePortal, Names, act, make_portal, read_action, wait_for_end

PROGRAMS = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "sudo": "sudo",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "git": "git",
}
KINDS = {kind.name: kind.first_words for kind in CATALOGUE.values()}
_ROWS = """
from experiments.models import Host, Site
site = Site.objects.create(is_default=True, refresh_seconds=1, **{site!r})
site.hosts.update(name={hosts!r}[0])
for position, name in enumerate({hosts!r}[1:], 1):
    Host.objects.create(site=site, name=name, position=position)
"""
_CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


class Case(ABC):
    """Brings a case up, uses it, cuts each link of its table, tries its table of trust, and takes everything down."""

    name: ClassVar[str]
    programs: ClassVar[Mapping[str, str]] = PROGRAMS
    way: ClassVar[str]
    servers: ClassVar[Sequence[str]] = ("database", "redis", "provider")

    def __init__(self, program: Path) -> None:
        self.program = program
        self.stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="case-", dir="/tmp"))
        number = os.getpid()
        self.names = Names(*(f"c{number}{what}" for what in ("portal", "gate", "site", "ana", "act")))
        self.hosts: dict[str, Host] = {"here": Host("here")}
        self.links: dict[str, Link] = {}
        self.begun_at = self.told_at = time.monotonic()
        self.parts: list[tuple[float, str]] = []
        self.expid = ""
        self.run_action: Any = {}

    def play(self) -> None:
        """Do it all; raise AssertionError where something is not as the tables say."""
        try:
            with self.stack:
                self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
                self.folder.chmod(0o755)
                try:
                    self._bring_up()
                    self.use()
                except BaseException:
                    self._show_logs()
                    raise
            self.tell("is taken down")
        finally:
            self._show_times()

    def _show_times(self) -> None:
        """Show how long each part took, in their order."""
        for seconds, text in (*self.parts, (time.monotonic() - self.begun_at, "in all")):
            print(f"{self.name}: {seconds:5.0f} s  {text}", flush=True)

    def _show_logs(self) -> None:
        """Show what the processes have printed last, before it is gone."""
        for log in sorted(self.folder.glob("*.log")):
            print(f"{log.name}:\n{log.read_text(errors='replace')[-2000:]}", file=sys.stderr)

    def _bring_up(self) -> None:
        names = self.names
        accounts = [names.portal, names.gateway, names.site, names.person]
        self.stack.enter_context(new_accounts(*accounts))
        self.stack.enter_context(make_group(names.acting))
        for account in accounts:
            subprocess.run(["usermod", "--password", "*", account], check=True)
        self.tell("begins")
        self.add_hosts("web")
        entrance = self.add_entrance()
        self.add_links(*((f"web-{name}", "web", "here") for name in self.servers))
        variables = {
            "PORTAL_DATABASE_URL": self.stack.enter_context(servers.postgres(self.links["web-database"])),
            "PORTAL_COMMANDS_UMASK": "0002",
            **self.join_provider(self.links["web-provider"]),
            **self.settings,
        }
        if "redis" in self.servers:
            variables["PORTAL_BROKER_URL"] = self.stack.enter_context(servers.redis(self.links["web-redis"]))
        made = make_portal(self.hosts["web"], entrance, names, self.folder, variables)
        self.portal: CasePortal = self.stack.enter_context(made)
        self.tell("has servers")
        with ThreadPoolExecutor() as beside:
            migration = beside.submit(self.portal.manage, "migrate", "--verbosity=0")
            self.set_up()
            self.tell("has hosts with agents and a store")
            migration.result()
        self.register()
        self.tell("has a database with a site")
        self.portal.start()
        self.portal.http = self.portal.sign_in(self.way, self.agree)
        self.tell("is up, and its operator has signed in")

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the portal that only this case has."""
        return {}

    def add_entrance(self) -> Link:
        """Link people with the portal; return the link whose far end they call."""
        self.add_links(("people-web", "here", "web"))
        return self.links["people-web"]

    def add_hosts(self, *names: str) -> None:
        """Bring hosts up."""
        for name in names:
            self.hosts[name] = self.stack.enter_context(make_host(name, self.find_reachable()))

    def add_links(self, *links: tuple[str, str, str]) -> None:
        """Link hosts, from the one that calls to the one that is called."""
        for name, near, far in links:
            self.links[name] = self.stack.enter_context(make_link(self.hosts[near], self.hosts[far]))

    @property
    def home(self) -> Path:
        """The folder of the `.autosubmitrc` of the site."""
        return Path("/tmp") / self.names.site

    def prepare_store(self, host: str, rules: str = "") -> None:
        """Configure Autosubmit at a site."""
        self.home.chmod(0o755)
        for word in ("configure", "install"):
            self.call_autosubmit(host, word)
        with (self.home / ".autosubmitrc").open("a") as rc:
            rc.write(rules)

    def call_autosubmit(self, host: str, *words: str) -> str:
        """Run a command of Autosubmit as the account of the site, with the umask of a group."""
        argv = ("sh", "-c", 'umask 002; exec "$0" "$@"', str(self.program), *words)
        return require(self.hosts[host].run(*argv, account=self.names.site))

    def write_rows(self, hosts: Sequence[str], **values: str) -> None:
        """Make the site of the portal, with its hosts in this order."""
        site = {"slug": self.name, "name": self.name, "autosubmit": str(self.program), "home": str(self.home), **values}
        self.portal.manage("shell", "--no-imports", "-c", _ROWS.format(site=site, hosts=list(hosts)))

    def write_workflow(self, expid: str, platform: str, owner: str) -> None:
        """Write LONG, which goes on, and AFTER, as files of the owner of the experiment."""
        folder = self.home / "autosubmit" / expid / "conf"
        sections = (Section(name="LONG", script="sleep 1200", wallclock="01:00"), Section(name="AFTER", after="LONG"))
        jobs = "".join(section.write_yaml() for section in sections).replace("PLATFORM: LOCAL", f"PLATFORM: {platform}")
        (folder / f"jobs_{expid}.yml").write_text(f"JOBS:\n{jobs}")
        set_value(folder / f"autosubmit_{expid}.yml", "SAFETYSLEEPTIME", "1")
        subprocess.run(["chown", f"{owner}:", *map(str, folder.glob("*.yml"))], check=True)

    def find_reachable(self) -> list[Path]:
        """Return the folders of the programs that accounts must reach."""
        pythons = {Path(sys.base_prefix).resolve(), (self.program.parent / "python").resolve().parents[1]}
        return [*sorted(pythons), REPOSITORY, Path(sys.prefix).resolve(), self.program.parents[1]]

    @abstractmethod
    def join_provider(self, link: Link) -> Mapping[str, str]:
        """Start the provider at the far end of a link, and return the settings about it."""

    @abstractmethod
    def agree(self, address: str) -> str:
        """Sign in at the provider as the operator; return where the browser is sent back to."""

    @abstractmethod
    def set_up(self) -> None:
        """Add the hosts of the site, the store and the agents, while the portal has no tables yet."""

    @abstractmethod
    def register(self) -> None:
        """Tell the portal of the site and its hosts."""

    @abstractmethod
    def configure(self, expid: str) -> None:
        """Write the workflow of a new experiment, as a person at the site does: its LONG goes on."""

    @property
    @abstractmethod
    def cuts(self) -> Mapping[str, Callable[[], str]]:
        """What is looked at while a link is cut, by the names of the table."""

    @property
    @abstractmethod
    def trials(self) -> Mapping[str, Callable[[], str]]:
        """What is tried, by the names of the table; each returns what it got."""

    def use(self) -> None:
        """Create, generate, run, cut, stop, set status, restart, try and stop again."""
        made = act(self.portal, "POST", "/v4/experiments", self.new_experiment())
        self.expid = wait_for_end(self.portal, made)["expid"]
        self.tell("an experiment was created")
        self.configure(self.expid)
        wait_for_end(self.portal, self.do("generate"))
        self.tell("its job list was generated")
        self.before_run()
        self.run_action = self.do("run")
        self.wait_for_run()
        self.tell("it runs")
        self.compare_cuts()
        wait_for_end(self.portal, self.do("stop"))
        self.tell("it was stopped")
        self.set_status()
        self.tell("the status of a job was set")
        self.run_action = self.do("restart")
        self.wait_for_run()
        self.tell("it was restarted")
        self.compare_trials()
        wait_for_end(self.portal, self.do("stop"))
        self.tell("it was stopped again")

    def new_experiment(self) -> dict[str, Any]:
        """Return what is asked for."""
        return {"description": f"case {self.name}", "dummy": True}

    def before_run(self) -> None:
        """Do what a case does before its first run; most do nothing."""
        return

    def do(self, kind: str) -> Any:
        """Ask for an action on the experiment."""
        body = {"reason": "The case needs it."}
        return act(self.portal, "POST", f"/v4/experiments/{self.expid}?action={kind}", body)

    def set_status(self) -> None:
        """Set the status of a job, and see it."""
        address = f"/v4/experiments/{self.expid}/jobs/{self.expid}_LONG"  # which a stop leaves on its platform
        asked = act(self.portal, "PATCH", f"{address}?status=WAITING", {"reason": "The case needs it."})
        wait_for_end(self.portal, asked)
        wait_for(lambda: self.portal.http.get(address).body["status"], is_enough=lambda now: now == "WAITING")

    def wait_for_run(self) -> None:
        """Wait until the run is seen, and LONG is on its platform."""
        job = f"/v4/experiments/{self.expid}/jobs/{self.expid}_LONG"
        wait_for(lambda: self.portal.http.get(job).body["status"], is_enough=lambda now: now == "RUNNING")
        assert self.is_running(), read_action(self.portal, self.run_action)

    def is_running(self) -> bool:
        """Answer whether the portal sees the run."""
        return bool(self.portal.http.get(f"/v4/experiments/{self.expid}").body["is_running"])

    def compare_cuts(self) -> None:
        """Cut each link of the table once, compare what people see with it, and mend it."""
        table = tables.read_links(self.name)
        assert table.keys() == self.cuts.keys(), "the table has other links than the case"
        for link, seen in table.items():
            self.links[link].cut()
            try:
                wait_for(self.cuts[link], is_enough=partial(_has, seen))
            finally:
                self.links[link].mend()
            self.tell(f"{link} was cut: “{seen}”")
            wait_for(self.is_well, seconds=tables.MENDED_SECONDS)
            self.tell(f"{link} was mended: all is well again")

    def is_well(self) -> bool:
        """Answer whether everything answers, and the run is seen to go on."""
        try:
            health = self.portal.http.get("/healthz?strict=true")
            action = read_action(self.portal, self.run_action)
        except OSError:
            return False
        return (
            health.status == 200 and action["state"] == "running" and not action["unseen_since"] and self.is_running()
        )

    def compare_trials(self) -> None:
        """Try what the table of trust says that nobody can do."""
        table = tables.read_trials(self.name)
        assert table.keys() == self.trials.keys(), "the table of trust has other rows than the case tries"
        for trial, gets in table.items():
            got = self.trials[trial]()
            assert gets in got, f"{trial}: “{gets}” was to be got, and not {got!r}"
            self.tell(f"{trial}: “{gets}”")

    @property
    def common_trials(self) -> Mapping[str, Callable[[], str]]:
        """Those of every case."""
        names, folder = self.names, self.folder / "sockets"
        connect = (PYTHON, "-c", _CONNECT, str(folder / "acting"))
        key, home = str(self.portal.secrets / "key"), f"/tmp/{names.portal}/home"
        url = self.portal.variables["PORTAL_DATABASE_URL"]
        database = url.replace("postgres://", "postgresql://").replace("portal:", "portal:wrong-", 1)
        return {
            "web opens the socket for acting": lambda: self.attempt("web", *connect, account=names.portal),
            "portal reads the gateway's key": lambda: self.attempt("web", "cat", key, account=names.portal),
            "gateway reads the portal's home": lambda: self.attempt("web", "ls", home, account=names.gateway),
            "gateway opens the database": lambda: self.attempt(
                "web", "psql", database, "-c", "", account=names.gateway
            ),
        }

    def attempt(self, host: str, *command: str, account: str) -> str:
        """Return what an account gets to see of a command."""
        done = self.hosts[host].run(*command, account=account)
        return f"{done.stdout}{done.stderr} (status {done.returncode})"

    def open_shell(self, address: str) -> str:
        """Return what the gateway's key gets that wants a shell: the beginning of what it sees."""
        where = ["-p", str(servers.SSH_PORT), "-i", str(self.portal.secrets / "key")]
        known = ["-o", f"UserKnownHostsFile={self.portal.secrets}/known_hosts", "-o", "BatchMode=yes"]
        return self.attempt(
            "web", "ssh", *where, *known, f"{self.names.site}@{address}", "id", account=self.names.gateway
        )

    def find_waiting(self) -> str:
        """Change the description, and return what the action says of itself while it waits; call it off then."""
        asked = act(self.portal, "PATCH", f"/v4/experiments/{self.expid}", {"description": "Changed during a cut"})
        message = wait_for(lambda: str(read_action(self.portal, asked)["message"]))
        self.portal.http.post(f"/v4/actions/{asked['id']}/cancel")
        return message

    def see_run(self) -> str:
        """Return what the action of the run says of itself."""
        action = read_action(self.portal, self.run_action)
        return f"{action['state']}: {action['message']}" if action["unseen_since"] else ""

    def look_at_health(self) -> str:
        """Return what /healthz says."""
        return self.portal.look("/healthz")

    def try_to_sign_in(self) -> str:
        """Return what somebody sees who wants to sign in, while who has signed in goes on."""
        assert self.is_running()
        try:
            self.portal.sign_in(self.way, self.agree)
        except AssertionError as error:
            return str(error)
        return ""

    def tell(self, text: str) -> None:
        """Say how far it is, and keep how long that took."""
        now = time.monotonic()
        self.parts.append((now - self.told_at, text))
        self.told_at = now
        print(f"{self.name}, {now - self.begun_at:.0f} s: {text}", flush=True)


def _has(seen: str, text: str) -> bool:
    return seen in text


@contextmanager
def make_group(name: str, *members: str) -> Iterator[None]:
    """Lend a group of these accounts."""
    subprocess.run(["groupadd", name], check=True)
    for member in members:
        subprocess.run(["usermod", "--append", "--groups", name, member], check=True)
    try:
        yield
    finally:
        subprocess.run(["groupdel", name], check=False)


def find_program() -> Path:
    """Return the Autosubmit of this checkout; raise Missing without any."""
    program = Path(os.environ.get("AUTOSUBMIT", REPOSITORY / "var/autosubmit-env/bin/autosubmit"))
    if not program.exists():
        raise Missing(f"The case needs Autosubmit, and there is none at {program}: run make autosubmit.")
    return program
