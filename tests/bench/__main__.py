"""`make bench`: how long an action waits for its command to start, with each broker; writes docs/performance.md.

Real processes, a real store and real requests over HTTP. Only the site's `autosubmit` is a stand-in that notes when
it was started: the real one needs 3 s to import itself, with or without a portal.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.conf import settings

from autosubmit_portal.management.demo import Autosubmit
from tests import postgres, redis_server
from tests.bench.measure import Case, Result, measure
from tests.bench.report import report
from tests.services import Portal, kill_processes_of
from tests.workflows import KINDS

CASES = (
    Case("database", "SQLite"),
    Case("database", "PostgreSQL"),
    Case("Redis", "PostgreSQL"),
    Case("database", "PostgreSQL", poll=0.1),
    Case("database", "PostgreSQL", poll=0.2),
)
STAND_IN = """#!/bin/sh
[ "$1" = --version ] && { echo 4.1.17.1; exit; }
date +%s.%N >started.new && mv started.new started
[ ! -e "$HOME/slow" ] || sleep 120
"""


def main() -> None:
    """Measure every case and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--autosubmit", type=Path, required=True, help="the real program, to make the store with"
    )
    parser.add_argument("--actions", type=int, default=60, help="how many actions to time in each case")
    parser.add_argument("--report", type=Path, default=settings.BASE_DIR / "docs" / "performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        results = run(Path(folder), options.autosubmit.absolute(), options.actions)
    options.report.write_text(report(results, options.actions), encoding="utf-8")
    print(f"Written: {options.report}")


def run(folder: Path, program: Path, actions: int) -> list[Result]:
    """Measure every case on one store."""
    autosubmit = Autosubmit(program, folder / "autosubmit-home")
    autosubmit.prepare()
    expid = KINDS["small"]().make(autosubmit)
    stand_in = folder / "autosubmit"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    results = []
    for number, case in enumerate(CASES):
        with _portal(case, folder / f"portal-{number}", Autosubmit(stand_in, autosubmit.home)) as portal:
            results.append(measure(case, portal, expid, actions))
            print(results[-1].line, flush=True)
    return results


@contextmanager
def _portal(case: Case, home: Path, autosubmit: Autosubmit) -> Iterator[Portal]:
    """Give a running portal of the case, with a worker of two processes."""
    with ExitStack() as stack:
        made = Portal(home=home, autosubmit=autosubmit, variables={"PORTAL_POLL_SECONDS": str(case.poll)})
        if case.database == "PostgreSQL":
            made.database_url = stack.enter_context(postgres.server()).create_database()
        if case.broker == "Redis":
            made.variables["PORTAL_BROKER_URL"] = stack.enter_context(redis_server.server()).url
        stack.callback(kill_processes_of, autosubmit.home)
        stack.callback(made.kill)
        home.mkdir()
        made.manage("collectstatic", "--no-input", "--verbosity=0")
        made.set_up()
        made.start()
        yield made


if __name__ == "__main__":
    main()
