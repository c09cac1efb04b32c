"""The smallest picture: the sections of an experiment, what each waits for, and how far it is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jobs.pictures.levels import compute_levels


class SectionEdge(NamedTuple):
    """Jobs of a section that wait for jobs of another: how many edges, and how many of them stay in one chunk."""

    parent: str
    child: str
    number: int
    inner: int


class SectionNode(NamedTuple):
    """Where a section stands: its column and its row; and its jobs by status."""

    name: str
    column: int
    row: int
    counts: Mapping[str, int]


def lay_out_sections(counts: Mapping[str, Mapping[str, int]], edges: Iterable[SectionEdge]) -> list[SectionNode]:
    """Return the sections in columns, those before others on their left; `counts` are their jobs by status.

    Only edges inside of a chunk decide: from chunk to chunk a workflow goes in circles.
    """
    names = list(counts)
    places = {name: place for place, name in enumerate(names)}
    deciding = [(places[edge.parent], places[edge.child]) for edge in edges if edge.inner and edge.parent != edge.child]
    levels = compute_levels(len(names), deciding)
    return [
        SectionNode(name, level, row, counts[name])
        for name, level, row in zip(names, levels, _rank(levels), strict=True)
    ]


def _rank(levels: Sequence[int]) -> list[int]:
    """Return how many came before each in its level."""
    seen: dict[int, int] = {}
    ranks = []
    for level in levels:
        ranks.append(seen.get(level, 0))
        seen[level] = ranks[-1] + 1
    return ranks
