"""Graphs of jobs: all of an experiment in lanes, or a few of them in levels.

General layouts take seconds for hundreds of nodes. That of all jobs follows what Autosubmit's workflows are made of:
column = chunk, row = start date and member, lane = section. What has no chunk stands before or after the chunks.
"""

from collections import defaultdict
from collections.abc import Sequence

from jobs.pictures.cells import list_groups, measure_columns, number, place_boxes, stack
from jobs.pictures.levels import compute_levels, list_children, sort_topologically
from jobs.pictures.picture import Boxes, Edge, Picture, PicturedJob, name_dates

CELL = (30.0, 20.0)
NAMED_CELL = (300.0, 34.0)
BETWEEN_MEMBERS = 0.6
BOX = (0.74, 0.7)
SWEEPS = 4
_BEFORE, _IN_CHUNK, _AFTER = range(3)

Column = tuple[int, int]
"""Before, in or after the chunks, and the level or the chunk there."""
Lane = tuple[int | None, str, str]
"""Start date, member and section."""


def lay_out_lanes(jobs: Sequence[PicturedJob], edges: Sequence[Edge]) -> Picture:
    """Return all jobs of an experiment as a graph."""
    of_jobs = [(job.date, job.member, job.section) for job in jobs]
    lanes, columns_of = _order_lanes(of_jobs), _choose_columns(jobs, edges)
    columns = sorted(set(columns_of))
    cells = [*zip(number(of_jobs, lanes), number(columns_of, columns), strict=True)]
    across = measure_columns(cells, len(columns))
    dates = name_dates(date for date, _, _ in lanes)
    members = [" ".join(filter(None, [dates[date], member])) for date, member, _ in lanes]
    down = stack(members, BETWEEN_MEMBERS)
    return Picture(
        jobs=jobs,
        boxes=_shrink(place_boxes(jobs, cells, down, across)),
        cell=CELL,
        rows=[band.label(section) for (_, _, section), band in zip(lanes, down, strict=True)],
        groups=list_groups(members, down),
        columns=[
            band.label(str(chunk)) for (kind, chunk), band in zip(columns, across, strict=True) if kind == _IN_CHUNK
        ],
        edges=edges,
    )


def lay_out_levels(jobs: Sequence[PicturedJob], edges: Sequence[Edge]) -> Picture:
    """Return a few jobs as a graph with room for their names, parents on the left of their children."""
    levels = compute_levels(len(jobs), edges)
    ranks = _order_in_levels(levels, edges)
    width, height = BOX
    return Picture(
        jobs=jobs,
        boxes=Boxes([*levels], ranks, [width] * len(jobs), [height] * len(jobs)),
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


def _order_lanes(of_jobs: Sequence[Lane]) -> list[Lane]:
    """Return each lane once: dates and members sorted, fc2 before fc10, and in them sections as they come."""
    known = dict.fromkeys(of_jobs)
    sections = {section: place for place, section in enumerate(dict.fromkeys(section for _, _, section in known))}

    def rank(lane: Lane) -> tuple[bool, int, int, str, int]:
        date, member, section = lane
        return date is not None, date or 0, len(member), member, sections[section]

    return sorted(known, key=rank)


def _shrink(boxes: Boxes) -> Boxes:
    """Leave room for edges between the boxes."""
    width, height = BOX
    return Boxes(
        [round(x + w * (1 - width) / 2, 3) for x, w in zip(boxes.x, boxes.width, strict=True)],
        [round(y + (1 - height) / 2, 3) for y in boxes.y],
        [round(w * width, 3) for w in boxes.width],
        [height] * len(boxes.y),
    )


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
