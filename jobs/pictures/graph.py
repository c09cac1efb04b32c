"""Graphs of jobs: all of an experiment in lanes, or a few of them in levels.

General layouts take seconds for hundreds of nodes. That of all jobs follows what Autosubmit's workflows are made of:
column = chunk, row = start date and member, lane = section. What has no chunk stands before or after the chunks.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from jobs.pictures.cells import Stretch, measure_columns, place_boxes
from jobs.pictures.levels import compute_levels, list_children, sort_topologically
from jobs.pictures.picture import Band, Box, Edge, Picture, PicturedJob, name_date

CELL = (30.0, 20.0)
NAMED_CELL = (300.0, 34.0)
BETWEEN_MEMBERS = 0.6
BOX = (0.74, 0.7)
SWEEPS = 4
_BEFORE, _IN_CHUNK, _AFTER = range(3)

Column = tuple[int, int]
"""Before, in or after the chunks, and the level or the chunk there."""
Lane = tuple[datetime | None, str, str]
"""Start date, member and section."""


def lay_out_lanes(jobs: Sequence[PicturedJob], edges: Sequence[Edge]) -> Picture:
    """Return all jobs of an experiment as a graph."""
    columns_of = _choose_columns(jobs, edges)
    cells = [((job.date, job.member, job.section), column) for job, column in zip(jobs, columns_of, strict=True)]
    columns = measure_columns(cells, sorted(set(columns_of)))
    lanes, groups = _measure_lanes([lane for lane, _ in cells])
    return Picture(
        jobs=jobs,
        boxes=[_shrink(box) for box in place_boxes(jobs, cells, lanes, columns)],
        cell=CELL,
        rows=[stretch.label(section) for (_, _, section), stretch in lanes.items()],
        groups=groups,
        columns=[stretch.label(str(number)) for (kind, number), stretch in columns.items() if kind == _IN_CHUNK],
        edges=edges,
    )


def lay_out_levels(jobs: Sequence[PicturedJob], edges: Sequence[Edge]) -> Picture:
    """Return a few jobs as a graph with room for their names, parents on the left of their children."""
    levels = compute_levels(len(jobs), edges)
    ranks = _order_in_levels(levels, edges)
    width, height = BOX
    return Picture(
        jobs=jobs,
        boxes=[Box(level, rank, width, height) for level, rank in zip(levels, ranks, strict=True)],
        cell=NAMED_CELL,
        edges=edges,
    )


def _choose_columns(jobs: Sequence[PicturedJob], edges: Sequence[Edge]) -> list[Column]:
    """Return the column of each job: its chunk; without one, before the chunks unless it waits for one of them."""
    count, children = len(jobs), list_children(len(jobs), edges)
    columns: list[Column] = [(_IN_CHUNK, job.chunk) if job.chunk is not None else (_BEFORE, 0) for job in jobs]
    for node in sort_topologically(count, children):
        kind, number = columns[node]
        pushed = (kind, number + 1) if kind != _IN_CHUNK else (_AFTER, 0)
        for child in children[node]:
            if columns[child][0] != _IN_CHUNK and jobs[child].chunk is None and columns[child] < pushed:
                columns[child] = pushed
    return columns


def _measure_lanes(of_jobs: Sequence[Lane]) -> tuple[dict[Lane, Stretch], list[Band]]:
    """Return where each lane is, and the bands of the members; sections stand in the order of their first jobs."""
    known = dict.fromkeys(of_jobs)
    sections = {section: number for number, section in enumerate(dict.fromkeys(section for _, _, section in known))}
    lanes = sorted(
        known, key=lambda lane: (lane[0].timestamp() if lane[0] else 0, len(lane[1]), lane[1], sections[lane[2]])
    )
    stretches: dict[Lane, Stretch] = {}
    starts: dict[tuple[datetime | None, str], float] = {}
    y = 0.0
    for lane in lanes:
        if starts and lane[:2] not in starts:
            y += BETWEEN_MEMBERS
        starts.setdefault(lane[:2], y)
        stretches[lane] = Stretch(y, 1)
        y += 1
    ends = {lane[:2]: stretch.start + stretch.length for lane, stretch in stretches.items()}
    return stretches, [Band(_name_member(*key), start, ends[key] - start) for key, start in starts.items()]


def _name_member(date: datetime | None, member: str) -> str:
    return " ".join(filter(None, [name_date(date), member]))


def _shrink(box: Box) -> Box:
    """Leave room for edges between the boxes."""
    width, height = box.width * BOX[0], BOX[1]
    return Box(round(box.x + (box.width - width) / 2, 3), round(box.y + (1 - height) / 2, 3), round(width, 3), height)


def _order_in_levels(levels: Sequence[int], edges: Sequence[Edge]) -> list[float]:
    """Return the height of each node in its level: sorted by the middle of its neighbours, some times to and fro."""
    members: dict[int, list[int]] = defaultdict(list)
    for node, level in enumerate(levels):
        members[level].append(node)
    parents, children = list_children(len(levels), [(b, a) for a, b in edges]), list_children(len(levels), edges)
    heights = [0.0] * len(levels)
    for sweep in range(SWEEPS + 1):
        is_down = sweep % 2 == 0
        for level in sorted(members, reverse=not is_down):
            _order_level(members[level], parents if is_down else children, heights)
    return heights


def _order_level(nodes: list[int], neighbours: Sequence[Sequence[int]], heights: list[float]) -> None:
    def middle(node: int) -> float:
        near = neighbours[node]
        return sum(heights[one] for one in near) / len(near) if near else heights[node]

    nodes.sort(key=middle)
    for rank, node in enumerate(nodes):
        heights[node] = rank - (len(nodes) - 1) / 2
