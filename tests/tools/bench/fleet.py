"""The portals that are measured: each store on each database, as `manage.py portal` would run them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from autosubmit_portal.management.demo import Autosubmit
from autosubmit_portal.management.processes import MANAGE
from tests.support import postgres
from tests.support.services import UNBOUNDED, Portal
from tests.tools.bench.load import Server
from tests.tools.bench.memory import run_watched
from tests.tools.bench.stores import Store

DATABASES = ("SQLite", "PostgreSQL")
# The real `autosubmit --version` needs 3 s to import itself, which is nothing of ours.
PROGRAM = """#!/bin/sh
echo 4.1.17.1
"""
COUNT = (
    "from experiments.models import Experiment; from jobs.models import Job;"
    "print(Experiment.objects.count(), Job.objects.count())"
)


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What the first pass over a store cost: seconds, and the most MB of the process and its children."""

    experiments: int
    jobs: int
    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Member:
    """A portal that mirrors a store and answers; `server` asks as somebody who may only look."""

    database: str
    store: Store
    portal: Portal
    server: Server
    first_pass: FirstPass


@contextmanager
def fleet(folder: Path, stores: list[Store], databases: Sequence[str] = DATABASES) -> Iterator[list[Member]]:
    """Give a portal for each store on each database, after its first pass, with its web server running."""
    program = folder / "autosubmit"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    with ExitStack() as stack:
        server = stack.enter_context(postgres.server()) if "PostgreSQL" in databases else None
        members = []
        for number, store in enumerate(stores):
            for database in databases:
                home = folder / f"portal-{number}-{database}"
                autosubmit = Autosubmit(program, store.home)
                portal = Portal(home=home, autosubmit=autosubmit, variables=dict(UNBOUNDED))
                portal.database_url = server.create_database() if server and database == "PostgreSQL" else ""
                stack.callback(portal.tear_down)
                members.append(_begun(portal, database, store))
                print(f"{database}: {members[-1].first_pass}", flush=True)
        yield members


def _begun(portal: Portal, database: str, store: Store) -> Member:
    portal.home.mkdir()
    portal.set_up()
    seconds, megabytes = run_watched([*MANAGE, "mirror", "--once"], portal.environment)
    portal.start("web")
    server = Server(database, portal.url, portal.create_user("Viewer").token)
    experiments, jobs = map(int, portal.manage("shell", "--no-imports", "-c", COUNT).split())
    return Member(database, store, portal, server, FirstPass(experiments, jobs, seconds, megabytes))
