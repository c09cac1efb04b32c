"""Rows and columns of cells: several jobs of one cell stand beside each other, and make its column wide."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

from jobs.pictures.picture import Band, Boxes, PicturedJob

Key = TypeVar("Key", bound=Hashable)
Cell = tuple[int, int]
"""The numbers of a row and of a column."""
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a row or a column begins, and how long it is."""

    start: float
    length: float

    def label(self, text: str) -> Band:
        """Return it with a label."""
        return Band(text, self.start, self.length)


def number(keys: Iterable[Key], order: Iterable[Key]) -> list[int]:
    """Return the number of each key in an order."""
    numbers = {key: place for place, key in enumerate(order)}
    return [numbers[key] for key in keys]


def stack(groups: Sequence[str], between: float) -> list[Stretch]:
    """Return where each row is, one below the other, with some room between groups; given is the group of each row."""
    stretches, y = [], 0.0
    for place, group in enumerate(groups):
        if place and group != groups[place - 1]:
            y += between
        stretches.append(Stretch(y, 1))
        y += 1
    return stretches


def list_groups(groups: Sequence[str], rows: Sequence[Stretch]) -> list[Band]:
    """Return the bands of neighbouring rows of one group."""
    bands: list[Band] = []
    for group, row in zip(groups, rows, strict=True):
        if bands and bands[-1].label == group:
            bands[-1] = Band(group, bands[-1].start, row.start + row.length - bands[-1].start)
        else:
            bands.append(row.label(group))
    return bands


def measure_columns(cells: Iterable[Cell], count: int) -> list[Stretch]:
    """Return where each of `count` columns is: it is as wide as its fullest cell has jobs."""
    widths = [1] * count
    for (_, column), jobs in Counter(cells).items():
        widths[column] = max(widths[column], jobs)
    return [Stretch(end - width, width) for width, end in zip(widths, accumulate(widths), strict=True)]


def place_boxes(
    jobs: Sequence[PicturedJob], cells: Sequence[Cell], rows: Sequence[Stretch], columns: Sequence[Stretch]
) -> Boxes:
    """Return the box of each job; the jobs of one cell share its width, in the order of their splits."""
    boxes = Boxes(
        [columns[column].start for _, column in cells],
        [rows[row].start for row, _ in cells],
        [columns[column].length for _, column in cells],
        [rows[row].length for row, _ in cells],
    )
    for places in _list_shared(cells):
        places.sort(key=lambda place: (jobs[place].split or 0, place))
        width = boxes.width[places[0]] / len(places)
        for order, place in enumerate(places):
            boxes.x[place] = round(boxes.x[place] + order * width, _DECIMALS)
            boxes.width[place] = round(width, _DECIMALS)
    return boxes


def _list_shared(cells: Sequence[Cell]) -> Iterable[list[int]]:
    """Return the places of the jobs of each cell that has several."""
    counts = Counter(cells)
    together: dict[Cell, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        if counts[cell] > 1:
            together[cell].append(place)
    return together.values()
