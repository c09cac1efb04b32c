"""The sections of docs/performance.md about reads and about the mirror."""

from collections.abc import Iterable
from dataclasses import replace

from tests.tools.bench.fleet import DATABASES, Member
from tests.tools.bench.judgement import Verdict, at_least, at_most, figure, table
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

{verdicts}

### One store of {experiments:,} experiments, {clients}

{tables}

### More experiments

{sizes}

- **p50, p95**: ms from the first byte sent to the last received, of half and of 19 of 20 answers. **/s**: answers a
  second that all clients together got. **×**: how many times faster than {peer} half of the answers are.
- Each client has one kept connection and asks again when it was answered; it has a token, at the portal that of an
  account that may only look. Servers were asked by turns, {seconds:g} s in all for each figure, from the machine that
  they run on: clients, servers and databases share its cores. Nothing was compressed, no answer was conditional.
- Each portal ran as `manage.py portal` runs it: two processes of twelve threads each, which held at most
  {web:.0f} MB each in the end, and the mirror beside it. {peer} had two workers too, and no periodic tasks.
  PostgreSQL is on the same machine, as installed but without `fsync`.
- The portal keeps the answers that it made last of what is mirrored of an experiment (jobs, their parents and children,
  runs), so that these figures are mostly of answers that were made once; **none kept** asks for another one each time.
- Once a second the portal asks its database whose the token is and what they may see, where Autosubmit API compares one
  token for everybody: the shortest answers show that.
- The experiment asked for has {jobs:,} jobs. {alike}
"""
MIRROR = """{context}

{verdicts}

### First pass

| database | experiments | jobs | s | jobs a second | peak MB |
| --- | --- | --- | --- | --- | --- |
{first}

`manage.py mirror --once` into an empty database, its start included. **Peak**: the most that the process and its
children held at one time; pages that they share count for each.

### A pass in which nothing changed

| database | experiments | `stat` calls | bare, ms | pass, ms | × | usual pass, ms |
| --- | --- | --- | --- | --- | --- | --- |
{unchanged}

Medians of {rounds} passes that look at every experiment, of as many times `os.stat` of the same files, and of as many
passes of the kind that a running mirror makes, in one process by turns.

### From a changed job list to the changed answer

| database | jobs | p50 s | p95 s | max s | mirror MB |
| --- | --- | --- | --- | --- | --- |
{changes}

In the store of {most:,} experiments a new job list with another status of one job takes the place of the old one at a
random moment, {repeats} times, while the lock of a run of that experiment is held. The clock stops when
`GET …/jobs/<job>` has the new status. **MB** as above, afterwards.
"""


def reads_section(
    context: str, *, small: list[Row], sizes: list[Row], members: list[Member], seconds: float, web: float
) -> Section:
    """Write what was measured of reads: `small` on one store, beside the peer if it is there, `sizes` on all."""
    text = READS.format(
        context=context,
        verdicts=table([*_speed_verdicts(small), *_size_verdicts(sizes)]),
        experiments=members[0].first_pass.experiments,
        clients="one client and eight",
        tables="\n\n".join(_speed_table(small, clients) for clients in CLIENTS),
        sizes=_size_table(sizes),
        peer=PEER,
        seconds=seconds,
        web=web,
        jobs=members[0].store.jobs,
        alike=_alike(small),
    )
    return Section("Reads", text)


def mirror_section(
    context: str,
    members: list[Member],
    unchanged: dict[str, Unchanged],
    changes: dict[str, Change],
    rounds: int,
) -> Section:
    """Write what was measured of the mirror; `unchanged` and `changes` by database."""
    text = MIRROR.format(
        context=context,
        verdicts=table(
            [*_pass_verdicts(members), *_unchanged_verdicts(unchanged), *_change_verdicts(changes)]
        ),
        first="\n".join(_first_pass_row(member) for member in members),
        unchanged="\n".join(_unchanged_row(members, database, it) for database, it in unchanged.items()),
        changes="\n".join(_change_row(database, it) for database, it in changes.items()),
        rounds=rounds,
        most=members[-1].first_pass.experiments,
        repeats=max(len(it.seconds) for it in changes.values()),
    )
    return Section("The mirror", text)


def ratio(row: Row, name: str) -> float:
    """Return how many times faster than the peer half of the answers of a server are; 0 if it did not answer."""
    ours = row.samples[name]
    return 0.0 if ours.failure else row.samples[PEER].p50 / ours.p50


def _speed_verdicts(rows: list[Row]) -> list[Verdict]:
    """Judge what was asked of the peer as well, and answered by it."""
    judged = [row for row in rows if PEER in row.samples and not row.samples[PEER].failure]
    verdicts = [
        at_least(
            f"{row.question.title}, {_clients(row)}, {name}", row.question.faster, ratio(row, name), " ×"
        )
        for row in judged
        if row.question.faster > 1
        for name in DATABASES
    ]
    others = [(ratio(row, name), row, name) for row in judged for name in DATABASES]
    slow = [found for found in others if found[0] < 1] or (
        [min(others, key=lambda it: it[0])] if others else []
    )
    return verdicts + [
        _faster(row, name, f"not slower anywhere: {row.question.title}, {_clients(row)}, {name}", 1)
        for _, row, name in slow
    ]


def _faster(row: Row, name: str, what: str, least: float) -> Verdict:
    verdict = at_least(what, least, ratio(row, name), " ×")
    failure = row.samples[name].failure
    return replace(verdict, measured=failure) if failure else verdict


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


def _size_verdicts(rows: list[Row]) -> list[Verdict]:
    return [
        at_most(
            f"{PAGE.title} with more experiments, {_clients(row)}, {database}",
            SLOWER_WITH_MORE,
            large.p50 / small.p50,
            " ×",
        )
        for row in rows
        if row.question == PAGE
        for database, (small, large) in _pairs(row)
    ]


def _pairs(row: Row) -> list[tuple[str, tuple[Sample, Sample]]]:
    """Return the samples of the smaller and the larger store by database."""
    found = {
        database: [sample for name, sample in row.samples.items() if name.startswith(database)]
        for database in DATABASES
    }
    return [(database, (samples[0], samples[-1])) for database, samples in found.items()]


def _pass_verdicts(members: list[Member]) -> list[Verdict]:
    passes = [(f"{it.first_pass.experiments:,} experiments, {it.database}", it.first_pass) for it in members]
    least = min(it.experiments for _, it in passes)
    return [
        *(
            at_most(f"first pass, {what}", FIRST_PASS_SECONDS, it.seconds, " s")
            for what, it in passes
            if it.experiments == least
        ),
        *(at_most(f"its memory, {what}", PEAK_MEGABYTES, it.megabytes, " MB") for what, it in passes),
    ]


def _unchanged_verdicts(unchanged: dict[str, Unchanged]) -> list[Verdict]:
    what = "a pass without changes beside the bare `stat` calls"
    return [at_most(f"{what}, {database}", STAT_CALLS, it.ratio, " ×") for database, it in unchanged.items()]


def _change_verdicts(changes: dict[str, Change]) -> list[Verdict]:
    return [
        *(
            at_most(f"changed job in the API, the slowest, {database}", CHANGE_SECONDS, max(it.seconds), " s")
            for database, it in changes.items()
        ),
        *(
            at_most(f"memory of the running mirror, {database}", PEAK_MEGABYTES, it.megabytes, " MB")
            for database, it in changes.items()
        ),
    ]


def _first_pass_row(member: Member) -> str:
    it = member.first_pass
    return _row(
        member.database,
        f"{it.experiments:,}",
        f"{it.jobs:,}",
        figure(it.seconds),
        figure(it.jobs / it.seconds),
        figure(it.megabytes),
    )


def _unchanged_row(members: list[Member], database: str, it: Unchanged) -> str:
    experiments = max(member.first_pass.experiments for member in members)
    figures = (figure(value) for value in (it.bare, it.look, it.ratio, it.usual))
    return _row(database, f"{experiments:,}", f"{it.files:,}", *figures)


def _change_row(database: str, it: Change) -> str:
    return _row(
        database,
        f"{it.jobs:,}",
        figure(it.p50),
        figure(it.p95),
        figure(max(it.seconds)),
        figure(it.megabytes),
    )


def _speed_table(rows: list[Row], clients: int) -> str:
    chosen = [row for row in rows if row.clients == clients]
    names = list(chosen[0].samples)
    titles = [title for name in names for title in _titles(name, PEER in names)]
    lines = [[row.question.title, *(cell for name in names for cell in _cells(row, name))] for row in chosen]
    return _table([f"{clients} client{'s' * (clients > 1)}", *titles], lines)


def _titles(name: str, has_peer: bool) -> list[str]:
    titles = [f"{name} p50", "p95", "/s"]
    return [*titles, "×"] if has_peer and name != PEER else titles


def _cells(row: Row, name: str) -> list[str]:
    sample, has_peer = row.samples[name], PEER in row.samples
    cells = [sample.failure, "", ""] if sample.failure else _figures(sample)
    if not has_peer or name == PEER:
        return cells
    is_comparable = not sample.failure and not row.samples[PEER].failure
    return [*cells, figure(ratio(row, name)) if is_comparable else ""]


def _size_table(rows: list[Row]) -> str:
    names = list(rows[0].samples)
    titles = [title for name in names for title in _titles(name, False)]
    lines = [
        [f"{row.question.title}, {_clients(row)}", *(cell for name in names for cell in _cells(row, name))]
        for row in rows
    ]
    return _table(["", *titles], lines)


def _figures(sample: Sample) -> list[str]:
    return [figure(sample.p50), figure(sample.p95), figure(sample.per_second)]


def _clients(row: Row) -> str:
    return "1 client" if row.clients == 1 else f"{row.clients} clients"


def _table(titles: list[str], lines: Iterable[list[str]]) -> str:
    return "\n".join([_row(*titles), _row(*["---"] * len(titles)), *(_row(*line) for line in lines)])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
