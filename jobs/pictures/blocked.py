"""Why a job does not run: from it back through parents that are not done, to where that begins."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs.pictures.picture import Edge

ENDED_BADLY = ("FAILED", "SUSPENDED")
"""Of jobs that hold others up until somebody does something."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A job that holds another one up. `path` leads from it to the other, with both; `steps` is how far it is back."""

    job: int
    path: tuple[int, ...]

    @property
    def steps(self) -> int:
        """How many jobs back it is."""
        return len(self.path) - 1


def find_causes(job: int, edges: Iterable[Edge], statuses: Mapping[int, str]) -> list[Cause]:
    """Return what holds the job up: what failed or is suspended first, then the nearest.

    `edges` are pairs of a parent that is not done and its child; `statuses` has those of all these parents. A parent
    with nothing before it that is not done is a cause too, such as one that runs.
    """
    parents: dict[int, list[int]] = defaultdict(list)
    for parent, child in edges:
        parents[child].append(parent)
    towards: dict[int, int] = {job: job}
    found, level = list[int](), [job]
    while level:
        later = []
        for node in level:
            is_cause = node != job and (statuses[node] in ENDED_BADLY or not parents[node])
            if is_cause:
                found.append(node)
                continue
            for parent in sorted(parents[node]):
                if parent not in towards:
                    towards[parent] = node
                    later.append(parent)
        level = later
    causes = [Cause(node, _follow(node, towards)) for node in found]
    return sorted(causes, key=lambda cause: (statuses[cause.job] not in ENDED_BADLY, cause.steps))


def _follow(node: int, towards: Mapping[int, int]) -> tuple[int, ...]:
    path = [node]
    while towards[path[-1]] != path[-1]:
        path.append(towards[path[-1]])
    return tuple(path)
