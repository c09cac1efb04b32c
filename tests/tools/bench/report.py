"""The sections of docs/performance.md about reads and about the mirror."""

from collections.abc import Iterable

from tests.tools.bench.fleet import DATABASES, Member
from tests.tools.bench.judgement import Verdict, at_most, figure, table, untargeted
from tests.tools.bench.load import Sample
from tests.tools.bench.mirror import Change, Unchanged
from tests.tools.bench.page import Section
from tests.tools.bench.peer import NAME as PEER
from tests.tools.bench.reads import CLIENTS, PAGE, Row

SLOWER_WITH_MORE = 1.5
FIRST_PASS_SECONDS = 60
PEAK_MEGABYTES = 300
STAT_CALLS = 3
CHANGE_SECONDS = 2

READS = """{context}

### One store of {experiments:,} experiments, one client and eight

{speeds}

### More experiments

{sizes}

Cells are p50–p95 in ms. **×**: how many times sooner than {peer} half of the answers come. **Target**: its least
value (1 where none stands), or for more experiments the most that p50 may grow.

- One kept connection and one token for each client; {seconds:g} s for each figure, servers by turns, on one
  machine. Nothing is compressed or conditional.
- Two web processes of twelve threads (at most {web:.0f} MB each) and the mirror; {peer} with two workers and no
  periodic tasks; PostgreSQL without `fsync`.
- The portal keeps recent answers about an experiment; **none kept** asks for another one each time.
- The experiment asked for has {jobs:,} jobs. {alike}
"""
MIRROR = """{context}

{figures}

- **First pass**: `manage.py mirror --once` into an empty database. **Peak**: of the process and its children.
- **Pass without changes**: medians of {rounds} passes over {most:,} experiments, beside `os.stat` of the same
  {files:,} files. A **usual pass** is one of a running mirror.
- **Change**: a job list of {jobs:,} jobs is replaced {repeats} times while its run holds the lock, until `GET
  …/jobs/<job>` has the new status.
"""


def reads_section(
    context: str, *, small: list[Row], sizes: list[Row], members: list[Member], seconds: float, web: float
) -> Section:
    """Write what was measured of reads: `small` on one store, beside the peer if it is there, `sizes` on all."""
    text = READS.format(
        context=context,
        experiments=members[0].first_pass.experiments,
        speeds=_speed_table(small),
        sizes=_size_table(sizes),
        peer=PEER,
        seconds=seconds,
        web=web,
        jobs=members[0].store.jobs,
        alike=_alike(small),
    )
    return Section("Reads", text)


def mirror_section(
    context: str, members: list[Member], unchanged: dict[str, Unchanged], changes: dict[str, Change], rounds: int
) -> Section:
    """Write what was measured of the mirror; `unchanged` and `changes` by database."""
    verdicts = [
        *_pass_verdicts(members),
        *(verdict for name, it in unchanged.items() for verdict in _unchanged_verdicts(name, it)),
        *(verdict for name, it in changes.items() for verdict in _change_verdicts(name, it)),
    ]
    change = next(iter(changes.values()))
    text = MIRROR.format(
        context=context,
        figures=table("cost and freshness", verdicts),
        rounds=rounds,
        most=members[-1].first_pass.experiments,
        files=next(iter(unchanged.values())).files,
        jobs=change.jobs,
        repeats=len(change.seconds),
    )
    return Section("The mirror", text)


def ratio(row: Row, name: str) -> float:
    """Return how many times faster than the peer half of the answers of a server are; 0 if it did not answer."""
    ours = row.samples[name]
    return 0.0 if ours.failure else row.samples[PEER].p50 / ours.p50


def _alike(rows: list[Row]) -> str:
    """Say whether all servers answered the same number of things to the same question."""
    told = [(row.question.title, _lengths(row)) for row in rows]
    unlike = {title: lengths for title, lengths in told if len(set(lengths.values())) > 1}
    if not unlike:
        return "All servers answered lists of the same length to the same question."
    texts = (
        f"{title}: {', '.join(f'{name} {length}' for name, length in lengths.items())}"
        for title, lengths in unlike.items()
    )
    return f"Lists of different length were answered to these questions: {'; '.join(texts)}."


def _lengths(row: Row) -> dict[str, int]:
    """Return how long the lists of those are that answered."""
    return {name: length for name, length in row.items.items() if not row.samples[name].failure}


def _pass_verdicts(members: list[Member]) -> list[Verdict]:
    least = min(member.first_pass.experiments for member in members)
    verdicts = []
    for member in members:
        it, database = member.first_pass, member.database
        what = f"first pass, {it.experiments:,} experiments, {it.jobs:,} jobs"
        is_target = it.experiments == least
        seconds = f"{what}, s"
        verdicts += [
            at_most(seconds, database, FIRST_PASS_SECONDS, it.seconds)
            if is_target
            else untargeted(seconds, database, it.seconds),
            at_most(f"its peak with {it.experiments:,}, MB", database, PEAK_MEGABYTES, it.megabytes),
        ]
    return verdicts


def _unchanged_verdicts(database: str, it: Unchanged) -> list[Verdict]:
    return [
        untargeted("bare `stat` calls, ms", database, it.bare),
        untargeted("pass without changes, ms", database, it.look),
        at_most("… × the bare calls", database, STAT_CALLS, it.ratio),
        untargeted("usual pass, ms", database, it.usual),
    ]


def _change_verdicts(database: str, it: Change) -> list[Verdict]:
    return [
        untargeted("change to answer, p50 s", database, it.p50),
        untargeted("… p95 s", database, it.p95),
        at_most("… slowest s", database, CHANGE_SECONDS, max(it.seconds)),
        at_most("running mirror, peak MB", database, PEAK_MEGABYTES, it.megabytes),
    ]


def _speed_table(rows: list[Row]) -> str:
    """Return a row for each question, with a column for each server and number of clients."""
    titles = [_title(row, name) for row in rows[: len(CLIENTS)] for name in row.samples]
    lines = []
    for question in dict.fromkeys(row.question for row in rows):
        asked = [row for row in rows if row.question == question]
        cells = [_speed_cell(row, name) for row in asked for name in row.samples]
        lines.append([question.title, _target(asked[0]), *cells])
    return _table(["question", "target", *titles], lines)


def _title(row: Row, name: str) -> str:
    return f"{name}, {row.clients}"


def _target(row: Row) -> str:
    return f"≥ {row.question.faster:g}×" if PEER in row.samples and row.question.faster > 1 else ""


def _speed_cell(row: Row, name: str) -> str:
    sample = row.samples[name]
    text = _span(sample)
    if PEER not in row.samples or name == PEER or row.samples[PEER].failure:
        return text
    times = ratio(row, name)
    text = text if sample.failure else f"{text}, {figure(times)}×"
    return text if times >= row.question.faster else f"**{text}, missed**"


def _size_table(rows: list[Row]) -> str:
    """Return a row for each question and number of clients, with a column for each database and size of store."""
    lines = []
    for row in rows:
        target = f"≤ {SLOWER_WITH_MORE:g}×" if row.question == PAGE else ""
        cells = [cell for names in _pairs(row) for cell in _size_cells(row, *names)]
        lines.append([f"{row.question.title}, {_clients(row)}", target, *cells])
    titles = [name for names in _pairs(rows[0]) for name in names]
    return _table(["question", "target", *titles], lines)


def _size_cells(row: Row, smaller: str, larger: str) -> tuple[str, str]:
    small, large = row.samples[smaller], row.samples[larger]
    times = large.p50 / small.p50
    text = f"{_span(large)}, {figure(times)}×"
    is_met = row.question != PAGE or times <= SLOWER_WITH_MORE
    return _span(small), text if is_met else f"**{text}, missed**"


def _pairs(row: Row) -> list[tuple[str, str]]:
    """Return the names of the smaller and the larger store, for each database."""
    found = [[name for name in row.samples if name.startswith(database)] for database in DATABASES]
    return [(names[0], names[-1]) for names in found]


def _span(sample: Sample) -> str:
    return sample.failure or f"{figure(sample.p50)}–{figure(sample.p95)}"


def _clients(row: Row) -> str:
    return "1 client" if row.clients == 1 else f"{row.clients} clients"


def _table(titles: list[str], lines: Iterable[list[str]]) -> str:
    return "\n".join([_row(*titles), _row(*["---"] * len(titles)), *(_row(*line) for line in lines)])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
