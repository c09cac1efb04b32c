"""What is promised of sites and agents, in one run: gateway, agents and the rest are processes of their own."""

from collections.abc import Sequence
from pathlib import Path

from tests.support.small_stores import make_store
from tests.tools.bench import hostile, idle
from tests.tools.bench.fleet import fleet
from tests.tools.bench.judgement import Verdict, table
from tests.tools.bench.page import Section, context
from tests.tools.bench.stores import Store

EXPERIMENTS = 1_000
TEXT = """{context}

{figures}

- **Idle**: a store of {experiments:,} experiments that nothing happens to, over {idle:g} s. A page of memory that
  several processes have counts for each in part (PSS).
- **Others**: a small experiment that runs changes every {pause:g} s until the API answers with its new status, for
  {hostile:g} s alone and beside experiments whose files are touched every {touch:g} s: a named pipe in the place of the
  job list, a history whose `-shm` file is truncated, a job list of a few bytes that takes for ever, and a history whose
  table is a view without an end.
"""


def run(folder: Path, program: Path, experiments: int = EXPERIMENTS) -> Section:
    """Measure all that needs no store that takes long to make."""
    begun = context()
    verdicts = _measure_quiet(folder, experiments)
    return section(begun, verdicts, experiments)


def section(begun: str, verdicts: Sequence[Verdict], experiments: int) -> Section:
    """Write what was measured."""
    text = TEXT.format(
        context=begun,
        figures=table("figure", verdicts),
        experiments=experiments,
        idle=idle.SECONDS,
        pause=hostile.PAUSE_SECONDS,
        hostile=hostile.SECONDS,
        touch=hostile.TOUCH_SECONDS,
    )
    return Section("Sites and agents", text)


def _measure_quiet(folder: Path, experiments: int) -> list[Verdict]:
    home = folder / "home"
    home.mkdir()
    expids = [f"q{number:03d}" for number in range(experiments)]
    make_store(home, expids)
    place = folder / "fleet"
    place.mkdir()
    with fleet(place, [Store(home, expids[0], 1)], ("SQLite",)) as (member,):
        member.portal.start("mirror")
        verdicts = idle.measure(member)
        print(*verdicts, sep="\n", flush=True)
        return verdicts + hostile.measure(member, expids[0])
