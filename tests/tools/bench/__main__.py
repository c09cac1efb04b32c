"""`make bench`: measures the portal on this machine and writes docs/performance.md.

Each part is a section of the page. With --only the sections of the other parts stay as they were.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings

from tests.tools.bench import (
    actions,
    changes,
    changing,
    crowd,
    hosts,
    lists,
    page,
    pages,
    peer,
    pictures,
    procedures,
    sites,
)
from tests.tools.bench.page import Section
from tests.tools.bench.service import Extent, measure
from tests.tools.bench.stores import NoTools, Plan

# Parts that make all that they need: each is given an empty folder and the real Autosubmit, and returns its section.
ALONE: Mapping[str, Callable[[Path, Path], Section]] = {
    "actions": actions.run,
    "changes": changes.run,
    "hosts": hosts.run,
    "lists": lists.run,
    "load": crowd.run,
    "pages": pages.run,
    "pictures": pictures.run,
    "procedures": procedures.run,
    "sites": sites.run,
}
ON_STORES = ("mirror", "reads")
CHANGING = "changing"
# In all 100,000 jobs.
SMALL = Plan(1_000, (10_000, 10_000, *[7_000] * 8))
LARGE = Plan(10_000, (10_000, 10_000))


def main() -> None:
    """Measure the parts that were asked for and write their sections."""
    options = _options()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        sections = _sections(Path(folder), options)
    if not sections:
        sys.exit("Nothing was measured.")
    written = options.report.read_text(encoding="utf-8") if options.report.exists() else ""
    options.report.write_text(page.renewed(written, [*sections, page.machine()]), encoding="utf-8")
    print(f"Written: {options.report}, after {(time.monotonic() - began) / 60:.0f} min")


def _options() -> argparse.Namespace:
    root = settings.BASE_DIR
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench", description=__doc__)
    parser.add_argument("--autosubmit", type=Path, required=True, help="the real program, to make stores with")
    parser.add_argument(
        "--only", choices=(*ALONE, CHANGING, *ON_STORES), action="append", help="measure this part; may be repeated"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to ask each server for each figure")
    parser.add_argument(
        "--tools", type=Path, default=root.parent / "shared" / "tools", help="the folder of make_store.py"
    )
    parser.add_argument("--stores", type=Path, default=root / "var" / "bench", help="where stores are kept")
    parser.add_argument(
        "--peer", type=Path, default=root / "var" / "peer-env", help="the environment of Autosubmit API"
    )
    parser.add_argument("--report", type=Path, default=root / "docs" / "performance.md")
    return parser.parse_args()


def _sections(folder: Path, options: argparse.Namespace) -> list[Section]:
    parts = set(options.only or (*ALONE, CHANGING, *ON_STORES))
    program: Path = options.autosubmit.absolute()
    sections = [run(_emptied(folder / part), program) for part, run in ALONE.items() if part in parts]
    try:
        return sections + _on_stores(folder, options, parts, program)
    except NoTools as missing:
        print(f"{missing} The parts {CHANGING}, mirror and reads are left out.", file=sys.stderr)
        return sections


def _on_stores(folder: Path, options: argparse.Namespace, parts: set[str], program: Path) -> list[Section]:
    """Measure the parts that need stores made by the tool. Raises NoTools."""
    sections, where, python = [], (options.stores.absolute(), options.tools, program), _python_of(program)
    if CHANGING in parts:
        home = changing.PLAN.made(*where).home
        sections.append(changing.run(_emptied(folder / CHANGING), home, python))
    if parts.intersection(ON_STORES):
        stores = [plan.made(*where) for plan in (SMALL, LARGE)]
        extent = Extent(parts=frozenset(parts), seconds=options.seconds)
        rival = _rival(options.peer)
        sections += measure(_emptied(folder / "stores"), stores, extent, python=python, rival=rival)
    return sections


def _emptied(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _python_of(program: Path) -> Path:
    return program.parent / "python"


def _rival(environment: Path) -> Path | None:
    found = peer.program_of(environment.absolute())
    if not found:
        print(f"No Autosubmit API in {environment} to compare with: run make peer.", file=sys.stderr)
    return found


if __name__ == "__main__":
    main()
