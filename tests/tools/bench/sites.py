"""What is promised of sites and agents, in one run: gateway, agents and the rest are processes of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.autosubmit.store import locate
from tests.support.small_stores import make_store
from tests.tools.bench import changing, effects, far, hostile, idle
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
- **Lists**: {lists} more experiments with {jobs:,} jobs each run and change every {every:g} s, a small one every
  {small:g} s: one job gets another status, and the history is written. The clock stops when the API answers with the
  status. Memory is the most of the mirror, the gateway, its agent and the readers. Cores are processor time meanwhile;
  the load is who makes the changes and asks for them.
- **HTTP call to effect**: the real Autosubmit, {effects} of each one after the other: until the API answers with the
  new status, or that the experiment is made.
- **SSH**: a real sshd, in a network namespace of its own, as root alone can make it. Bytes are those on the link in
  both directions while the store is looked at every {far_pause:g} s, with all that SSH and TCP add.
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """How many experiments are quiet, how many lists of how many jobs change how often, and for how long to look."""

    quiet: int = 2_000
    lists: int = 25
    jobs: int = 10_000
    rounds: int = changing.ROUNDS
    idle_seconds: float = idle.SECONDS
    settle_seconds: float = idle.SETTLE_SECONDS
    hostile_seconds: float = hostile.SECONDS
    effects: int = effects.ROUNDS
    far_quiet: int = 1_000
    far_commands: int = far.COMMANDS
    far_seconds: float = far.SECONDS


@dataclass(frozen=True, slots=True)
class Names:
    """A quiet experiment, those with long lists, and one with a short list."""

    quiet: str
    long: list[str]
    short: str


def run(folder: Path, program: Path, extent: Extent | None = None) -> Section:
    """Measure it with stores that are made now; `program` is the real Autosubmit."""
    extent, begun = extent or Extent(), context()
    home, python = _emptied(folder / "home"), program.parent / "python"
    names = _make_store(home, python, extent)
    with fleet(_emptied(folder / "fleet"), [Store(home, names.quiet, 1)], ("SQLite",)) as (member,):
        member.portal.start("mirror")
        verdicts = _told(idle.measure(member, extent.idle_seconds, extent.settle_seconds))
        verdicts += _told(hostile.measure(member, names.quiet, extent.hostile_seconds))
        member.portal.stop("mirror")
        found = changing.changing(member, python, [*names.long, names.short], rounds=extent.rounds)
        verdicts += _told(changing.judge(hostile.COLUMN, found))
    verdicts += _told(effects.measure(_emptied(folder / "effects"), program, extent.effects))
    verdicts += _told(far.measure(extent.far_quiet, extent.far_commands, extent.far_seconds))
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
        lists=extent.lists,
        jobs=extent.jobs,
        every=changing.EVERY_SECONDS,
        small=changing.SMALL_EVERY_SECONDS,
        effects=extent.effects,
        far_pause=far.PAUSE_SECONDS,
    )
    return Section("Sites and agents", text)


def _make_store(home: Path, python: Path, extent: Extent) -> Names:
    expids = [f"q{each:04d}" for each in range(extent.quiet)]
    make_store(home, expids)
    names = Names(expids[0], [f"l{each:03d}" for each in range(extent.lists)], "s000")
    add_long_lists(locate(home), python, names.long, extent.jobs)
    add_long_lists(locate(home), python, [names.short], 10)
    return names


def _told(verdicts: list[Verdict]) -> list[Verdict]:
    for verdict in verdicts:
        print(f"{verdict.what}: {verdict.cell}", flush=True)
    return verdicts


def _name(number: int) -> list[str]:
    return [f"q{each:04d}" for each in range(number)]


def _emptied(folder: Path) -> Path:
    folder.mkdir()
    return folder
