"""Portals with rows that no store has: what only the database is measured with is made in it, in seconds."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosubmit_portal.management.demo import Autosubmit
from tests.support import postgres
from tests.support.services import UNBOUNDED, ForkedAutosubmit, Portal, collected_static_files
from tests.tools.bench.fleet import DATABASES, PROGRAM


@dataclass(frozen=True, slots=True)
class Filled:
    """A portal whose web server runs; `facts` is what `fill` printed, as JSON."""

    database: str
    portal: Portal
    facts: Any


@contextmanager
def filled(
    folder: Path, program: Path, module: str, *arguments: int, databases: Sequence[str] = DATABASES
) -> Iterator[list[Filled]]:
    """Give a portal on each database, filled by `fill` of a module; `program` is the real Autosubmit."""
    store = ForkedAutosubmit(program, folder / "autosubmit-home")
    store.prepare()
    stand_in = folder / "autosubmit"
    stand_in.write_text(PROGRAM)
    stand_in.chmod(0o755)
    with ExitStack() as stack:
        made = []
        for database in databases:
            portal = Portal(
                home=folder / database, autosubmit=Autosubmit(stand_in, store.home), variables=dict(UNBOUNDED)
            )
            if database == "PostgreSQL":
                portal.database_url = stack.enter_context(postgres.server()).create_database()
            stack.callback(portal.tear_down)
            portal.home.mkdir()
            (portal.home / "static").symlink_to(collected_static_files())
            portal.set_up()
            facts = _fill(portal, module, arguments)
            portal.start("web")
            made.append(Filled(database, portal, facts))
        yield made


def _fill(portal: Portal, module: str, arguments: Sequence[int]) -> Any:
    code = f"from {module} import fill; fill{(*arguments,)}"
    return json.loads(portal.manage("shell", "--no-imports", "-c", code))
