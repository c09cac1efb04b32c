"""The parts of the bench that need stores of thousands of experiments and portals that serve them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.tools.bench import mirror, peer, reads
from tests.tools.bench.fleet import DATABASES, Member, fleet
from tests.tools.bench.load import Server
from tests.tools.bench.memory import held
from tests.tools.bench.page import Section, context
from tests.tools.bench.report import mirror_section, reads_section
from tests.tools.bench.stores import Store


@dataclass(frozen=True, slots=True)
class Extent:
    """What to measure and how long: seconds for each figure, passes without changes, changes to wait for."""

    parts: frozenset[str]
    seconds: float = 3.0
    rounds: int = 15
    changes: int = 15


def measure(folder: Path, stores: list[Store], extent: Extent, *, python: Path, rival: Path | None) -> list[Section]:
    """Measure the parts `mirror` and `reads` on stores, the smaller first, and return their sections.

    `python` is that of Autosubmit; `rival` is the program of the peer, if it is there to compare with.
    """
    sections = []
    with fleet(folder, stores) as members:
        if "mirror" in extent.parts:
            sections.append(_mirror(members, extent, python))
        if "reads" in extent.parts:
            sections.append(_reads(folder, members, extent, rival))
    return sections


def _mirror(members: list[Member], extent: Extent, python: Path) -> Section:
    begun = context()
    large = _of_store(members, -1)
    unchanged = {member.database: mirror.unchanged(member, extent.rounds) for member in large}
    print(unchanged, flush=True)
    changes = {member.database: mirror.change(member, python, extent.changes) for member in large}
    print(changes, flush=True)
    return mirror_section(begun, members, unchanged, changes, extent.rounds)


def _reads(folder: Path, members: list[Member], extent: Extent, rival: Path | None) -> Section:
    begun = context()
    small = _of_store(members, 0)
    with _mirroring(small), ExitStack() as stack:
        servers = [member.server for member in small]
        if rival:
            begun += f" Compared with {peer.NAME} {peer.version_of(rival)}."
            servers.insert(0, stack.enter_context(peer.serve(rival, small[0].store, folder / "peer")))
        rows = _asked(reads.QUESTIONS, servers, small[0].store, extent.seconds)
        web = max(max(held(member.portal.processes["web"].pid)) for member in small)
    with _mirroring(members):
        sizes = _asked((reads.PAGE, reads.SEARCH), _told_apart(members), small[0].store, extent.seconds)
    return reads_section(begun, small=rows, sizes=sizes, members=members, seconds=extent.seconds, web=web)


def _asked(
    questions: tuple[reads.Question, ...], servers: list[Server], store: Store, seconds: float
) -> list[reads.Row]:
    rows = []
    for row in reads.ask(questions, servers, store, seconds):
        figures = (f"{name} {sample.failure or format(sample.p50, '.1f')}" for name, sample in row.samples.items())
        print(f"{row.question.title}, {row.clients}: {', '.join(figures)}", flush=True)
        rows.append(row)
    return rows


def _told_apart(members: list[Member]) -> list[Server]:
    """Return the servers of all members with the size of the store in their names."""
    return [replace(member.server, name=f"{member.database}, {member.first_pass.experiments:,}") for member in members]


def _of_store(members: list[Member], place: int) -> list[Member]:
    """Return the portals, one for each database, of the first or the last store."""
    size = len(DATABASES)
    return members[:size] if place == 0 else members[-size:]


@contextmanager
def _mirroring(members: list[Member]) -> Iterator[None]:
    """Run the mirrors of these portals."""
    for member in members:
        member.portal.start("mirror")
    yield
    for member in members:
        member.portal.stop("mirror")
