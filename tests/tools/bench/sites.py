"""What is promised of sites and agents, in one run: gateway, agents and the rest are processes of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.autosubmit.store import locate
from tests.support.small_stores import make_store
from tests.tools.bench import changing, hostile, idle
from tests.tools.bench.fleet import fleet
from tests.tools.bench.judgement import Verdict, table
from tests.tools.bench.long_lists import add_long_lists
from tests.tools.bench.page import Section, context
from tests.tools.bench.stores import Store

TEXT = """{context}

{figures}

- **Idle**: a store of {quiet:,} experiments that nothing happens to, over {seconds:g} s. A page of memory that several
  processes have counts for each in part (PSS).
- **Others**: a small experiment that runs changes every {pause:g} s until the API answers with its new status, for
  {hostile:g} s alone and beside experiments whose files are touched every {touch:g} s: a named pipe in the place of the
  job list, a history whose `-shm` file is truncated, a job list of a few bytes that takes for ever, and a history whose
  table is a view without an end.
- **Lists**: of {many:,} experiments {lists} with {jobs:,} jobs each run and change every {every:g} s, a small one every
  {small:g} s: one job gets another status, and the history is written. The clock stops when the API answers with the
  status. Memory is the most of the mirror, the gateway, its agent and the readers. Cores are processor time meanwhile;
  the load is who makes the changes and asks for them.
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """How many experiments are quiet, how many lists of how many jobs change how often, and for how long to look."""

    quiet: int = 1_000
    many: int = 2_000
    lists: int = 25
    jobs: int = 10_000
    rounds: int = changing.ROUNDS
    idle_seconds: float = idle.SECONDS
    settle_seconds: float = idle.SETTLE_SECONDS
    hostile_seconds: float = hostile.SECONDS


def run(folder: Path, program: Path, extent: Extent | None = None) -> Section:
    """Measure it with stores that are made now; `program` is the real Autosubmit."""
    extent, begun = extent or Extent(), context()
    verdicts = _measure_quiet(_emptied(folder / "quiet"), extent)
    verdicts += _measure_changing(_emptied(folder / "changing"), program.parent / "python", extent)
    return section(begun, verdicts, extent)


def section(begun: str, verdicts: Sequence[Verdict], extent: Extent) -> Section:
    """Write what was measured."""
    text = TEXT.format(
        context=begun,
        figures=table("figure", verdicts),
        quiet=extent.quiet,
        seconds=extent.idle_seconds,
        pause=hostile.PAUSE_SECONDS,
        hostile=extent.hostile_seconds,
        touch=hostile.TOUCH_SECONDS,
        many=extent.many,
        lists=extent.lists,
        jobs=extent.jobs,
        every=changing.EVERY_SECONDS,
        small=changing.SMALL_EVERY_SECONDS,
    )
    return Section("Sites and agents", text)


def _measure_quiet(folder: Path, extent: Extent) -> list[Verdict]:
    home, expids = _emptied(folder / "home"), _name(extent.quiet)
    make_store(home, expids)
    with fleet(_emptied(folder / "fleet"), [Store(home, expids[0], 1)], ("SQLite",)) as (member,):
        member.portal.start("mirror")
        found = idle.measure(member, extent.idle_seconds, extent.settle_seconds)
        return _told(found + hostile.measure(member, expids[0], extent.hostile_seconds))


def _measure_changing(folder: Path, python: Path, extent: Extent) -> list[Verdict]:
    home, expids = _emptied(folder / "home"), _name(extent.many)
    make_store(home, expids[extent.lists + 1 :])
    long, small = expids[: extent.lists], expids[extent.lists]
    add_long_lists(locate(home), python, long, extent.jobs)
    add_long_lists(locate(home), python, [small], 10)
    with fleet(_emptied(folder / "fleet"), [Store(home, long[0], extent.jobs)], ("SQLite",)) as (member,):
        found = changing.changing(member, python, [*long, small], rounds=extent.rounds)
    return _told(changing.judge("result", found))


def _told(verdicts: list[Verdict]) -> list[Verdict]:
    for verdict in verdicts:
        print(f"{verdict.what}: {verdict.cell}", flush=True)
    return verdicts


def _name(number: int) -> list[str]:
    return [f"q{each:04d}" for each in range(number)]


def _emptied(folder: Path) -> Path:
    folder.mkdir()
    return folder
