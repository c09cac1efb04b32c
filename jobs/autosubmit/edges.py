"""The edges between jobs, and a note about edges that cannot be shown."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from autosubmit_portal.sentences import marked, say

MOST_NAMES = 5

Edge = tuple[str, str]
"""A parent and a child, by name."""

UNKNOWN = say("Which jobs wait for which is not known: the store has no dependencies of this experiment.")


_ONE = marked(
    "{count} dependency names jobs that are not in the job list, and cannot be shown: {names}. "
    "Generate the job list again to bring them together."
)
_SEVERAL = marked(
    "{count} dependencies name jobs that are not in the job list, and cannot be shown: {names}. "
    "Generate the job list again to bring them together."
)


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges between jobs of the list. `note` is blank when all edges of the store are shown.

    They are unknown if the store has none at all for several jobs: every version writes jobs without edges too.
    """

    between: set[Edge]
    are_known: bool
    note: str


def select_edges(edges: Iterable[Edge] | None, names: Collection[str]) -> Edges:
    """Return the edges between the jobs of these names; `edges` is None where the store has none."""
    if edges is None:
        is_clear = len(names) < 2
        return Edges(set(), is_clear, "" if is_clear else UNKNOWN)
    between: set[Edge] = set()
    strays: set[Edge] = set()
    for edge in edges:
        (between if edge[0] in names and edge[1] in names else strays).add(edge)
    return Edges(between, are_known=True, note=_make_note(strays, names))


def _make_note(strays: Collection[Edge], names: Collection[str]) -> str:
    if not strays:
        return ""
    unknown = sorted({name for edge in strays for name in edge if name not in names})
    told = ", ".join(name[:100] for name in unknown[:MOST_NAMES])
    left = len(unknown) - MOST_NAMES
    names = say("{names} and {number} more", names=told, number=f"{left:,}") if left > 0 else told
    return say(_ONE if len(strays) == 1 else _SEVERAL, count=f"{len(strays):,}", names=names)
