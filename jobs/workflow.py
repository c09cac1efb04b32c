"""The jobs of one experiment as a graph: who waits for whom. Pure functions of rows read before; no Django."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, slots=True)
class JobRow:
    """What the questions here need to know of a job."""

    name: str
    status: str
    section: str = ""
    date: datetime | None = None
    member: str = ""
    chunk: int | None = None


@dataclass(frozen=True)
class Workflow:
    """The jobs in the order of the job list, and the edges (parent, child) between their names."""

    rows: Sequence[JobRow]
    edges: Sequence[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def jobs(self) -> dict[str, JobRow]:
        """The jobs by name."""
        return {row.name: row for row in self.rows}

    @cached_property
    def parents(self) -> dict[str, list[str]]:
        """What each job waits for."""
        parents: dict[str, list[str]] = defaultdict(list)
        for parent, child in self.edges:
            parents[child].append(parent)
        return parents

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """What waits for each job."""
        children: dict[str, list[str]] = defaultdict(list)
        for parent, child in self.edges:
            children[parent].append(child)
        return children

    def find_descendants(self, names: Iterable[str]) -> list[JobRow]:
        """Return what waits for any of the jobs, directly or not, the nearest first; not the jobs themselves."""
        seen = set(names)
        level, found = list(seen), list[str]()
        while level:
            level = sorted({child for name in level for child in self.children.get(name, ())} - seen)
            seen.update(level)
            found += level
        return [self.jobs[name] for name in found]
