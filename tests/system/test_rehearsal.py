"""Backup, restore, upgrade and the way back: the commands of docs/operations.md, executed on each database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.documented_commands import execute_block
from tests.support.postgres import Postgres
from tests.support.services import Portal
from tests.support.stand_in import StandIn
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.postgres]

PAGE = "operations.md"


@dataclass
class Rehearsal:
    """A portal whose database is backed up, lost, and restored as the page says."""

    portal: Portal
    server: Postgres | None
    folder: Path
    actions: dict[str, int] = field(default_factory=dict)
    expids: dict[str, str] = field(default_factory=dict)
    said: str = ""

    @property
    def vendor(self) -> str:
        return "postgresql" if self.server else "sqlite"

    def execute(self, block: str) -> str:
        return execute_block(PAGE, block, self.folder, self.portal.environment)

    def lose_database(self) -> None:
        """Give the portal an empty database instead of the one that it had."""
        if self.server:
            self.server.drop_database(self.portal.database_url)
            self.portal.database_url = self.server.create_database()
        else:
            (self.portal.home / "portal.sqlite3").unlink()

    def ask(self, expid: str, kind: str) -> int:
        """Request a run, or another description, and return the number of the action."""
        path, http = f"/v4/experiments/{expid}", self.portal.http
        wait_for(lambda: http.get(f"{path}/jobs").body.get("jobs"))  # the list comes after the experiment
        is_run = kind == "run"
        asked = http.post(f"{path}?action=run") if is_run else http.patch(path, {"description": "as it was asked for"})
        assert asked.status == 202, asked.body
        return int(asked.body["id"])

    def look(self) -> str:
        """Return whether the tables are those of the code, and if so the steps of all actions."""
        return self.portal.manage("shell", "--no-imports", "-c", LOOK).strip()

    def read(self, action: int) -> Any:
        return self.portal.http.get(f"/v4/actions/{action}").body

    def await_state(self, action: int, *states: str) -> None:
        wait_for(lambda: self.read(action)["state"] in states)

    def count_starts(self, expid: str) -> int:
        """Return how many commands have ever been started for an experiment by a portal."""
        lines = (self.portal.autosubmit.home / "ledger").read_text().splitlines()
        return sum(line.startswith("started") and " terminal " not in line and expid in line.split() for line in lines)

    def release(self, command: str) -> None:
        (self.portal.autosubmit.home / f"hold-{command}").unlink()

    def tear_down(self) -> None:
        self.portal.tear_down()
        if self.server:
            self.server.drop_database(self.portal.database_url)


@contextmanager
def keep_writing(portal: Portal, expid: str) -> Iterator[None]:
    """Have somebody ask for actions, one after the other, for as long as the block lasts."""
    stopped = threading.Event()

    def write() -> None:
        while not stopped.is_set():
            portal.http.patch(f"/v4/experiments/{expid}", {"description": "again"})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stopped.set()
        writer.join()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Postgres | None:
    return request.getfixturevalue("postgres") if request.param == "postgresql" else None


@pytest.fixture(scope="module")
def rehearsal(server: Postgres | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A portal that was restored from a backup that was made while it worked.

    At the backup, `run` and `running` ran and `queued` waited. The run lives on; the others have ended before the
    database was lost.
    """
    folder = tmp_path_factory.mktemp("rehearsal")
    (folder / "portal").mkdir()
    stand_in = StandIn.install(folder)
    portal = Portal(folder / "portal", stand_in, server.create_database() if server else "")
    made = Rehearsal(portal, server, folder)
    try:
        portal.set_up()
        portal.start()
        _back_up_at_work(made, stand_in)
        _restore(made)
        yield made
    finally:
        made.tear_down()


def _back_up_at_work(made: Rehearsal, stand_in: StandIn) -> None:
    limit = made.folder / "portal.yml"
    limit.write_text("version: 1\nsites: {local: {most_commands: 2}}\n")
    made.portal.manage("apply_config", str(limit))
    made.expids = {name: stand_in.make_experiment() for name in ("run", "running", "second", "queued", "busy")}
    stand_in.hold("run", "updatedescrip")
    made.actions["run"] = made.ask(made.expids["run"], "run")
    made.await_state(made.actions["run"], "running")
    for name in ("running", "second", "queued"):  # a run takes a place while it starts, these two the others
        made.actions[name] = made.ask(made.expids[name], "describe")
    made.await_state(made.actions["running"], "running")
    wait_for(lambda: made.count_starts(made.expids["running"]) == made.count_starts(made.expids["run"]) == 1)
    assert made.read(made.actions["queued"])["state"] == "queued"
    with keep_writing(made.portal, made.expids["busy"]):
        made.execute(f"backup-{made.vendor}")


def _restore(made: Rehearsal) -> None:
    made.release("updatedescrip")
    for name in ("running", "second", "queued"):
        made.await_state(made.actions[name], "succeeded")
    made.portal.stop()
    made.lose_database()
    made.execute(f"restore-{made.vendor}")
    made.said = made.execute("after-restore")
    made.portal.start()


def test_the_trail_of_a_restored_database_is_proven(rehearsal: Rehearsal) -> None:
    assert "entries examined" in rehearsal.said


def test_a_run_that_outlives_the_database_is_found_again(rehearsal: Rehearsal) -> None:
    action, expid = rehearsal.actions["run"], rehearsal.expids["run"]
    assert rehearsal.read(action)["state"] == "running"
    rehearsal.release("run")
    rehearsal.await_state(action, "succeeded")
    assert rehearsal.count_starts(expid) == 1


def test_what_has_ended_since_the_backup_never_starts_again(rehearsal: Rehearsal) -> None:
    rehearsal.await_state(rehearsal.actions["running"], "succeeded", "lost")
    assert rehearsal.count_starts(rehearsal.expids["running"]) == 1


def test_what_waited_at_the_backup_is_called_off_since_it_may_have_run(rehearsal: Rehearsal) -> None:
    action = rehearsal.read(rehearsal.actions["queued"])
    assert (action["state"], action["message"]) == ("cancelled", "Called off: The database was restored.")
    assert rehearsal.count_starts(rehearsal.expids["queued"]) == 1


def test_a_restored_portal_works(rehearsal: Rehearsal) -> None:
    rehearsal.await_state(rehearsal.ask(rehearsal.expids["queued"], "describe"), "succeeded")


# --- Upgrade, and the way back


FIRST = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Door, Origin
executor = MigrationExecutor(connection)
first = [(app, "0001_initial") for app in ("access", "audit", "experiments", "jobs", "workers")]
others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in dict(first)]
executor.migrate([*others, *first])
apps = executor.loader.project_state(first).apps
site = apps.get_model("experiments", "Site").objects.create(
    slug="local", name="Local", autosubmit="/nonexistent/bin/autosubmit", home="/nonexistent/home"
)
experiment = apps.get_model("experiments", "Experiment").objects.create(site=site, expid="a000")
actions = apps.get_model("experiments", "Action").objects
for state, expid in (("running", "a000"), ("queued", "")):
    actions.create(
        site=site, experiment=experiment if expid else None, kind="run" if expid else "create", expid=expid,
        state=state, command=[["autosubmit", "run"]], actor_name="ana", door="api",
        step_started_at=timezone.now() if expid else None, started_at=timezone.now() if expid else None,
    )
trail.record("action.requested", origin=Origin(door=Door.API, actor_name="ana"), site="local", expid="a000")
"""
LOOK = """
from django.db import connection
from autosubmit_portal.db import history
from experiments.models import Step
is_current = history.is_current(connection)
print(is_current, [(step.key, step.host.name, step.action.state) for step in Step.objects.all()] if is_current else "")
"""


def test_an_upgrade_keeps_what_the_first_tables_had_and_its_backup_is_the_way_back(
    server: Postgres | None, tmp_path: Path, static_files: Path
) -> None:
    (tmp_path / "portal").mkdir()
    (tmp_path / "portal" / "static").symlink_to(static_files)
    url = server.create_database() if server else ""
    old = Rehearsal(Portal(tmp_path / "portal", StandIn.install(tmp_path), url), server, tmp_path)
    old.portal.manage("shell", "--no-imports", "-c", FIRST)
    old.execute(f"backup-{old.vendor}")
    old.execute("upgrade")
    assert old.look() == "True [('legacy:1/0', 'local', 'running')]"
    assert "entries examined" in old.portal.manage("audit", "verify")
    old.lose_database()
    old.execute(f"restore-{old.vendor}")
    assert old.look() == "False"
    assert "entries examined" in old.portal.manage("audit", "verify")
    old.tear_down()
