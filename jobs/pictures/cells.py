"""Rows and columns of cells: several jobs of one cell stand beside each other, and make its column wide."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jobs.pictures.picture import Band, Box, PicturedJob

Row = TypeVar("Row", bound=Hashable)
Column = TypeVar("Column", bound=Hashable)
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a row or a column begins, and how long it is."""

    start: float
    length: float

    def label(self, text: str) -> Band:
        """Return it with a label."""
        return Band(text, self.start, self.length)


def measure_columns(cells: Sequence[tuple[Row, Column]], order: Sequence[Column]) -> dict[Column, Stretch]:
    """Return where each column is: it is as wide as its fullest cell has jobs. `cells` are those of the jobs."""
    counts: dict[tuple[Row, Column], int] = defaultdict(int)
    for cell in cells:
        counts[cell] += 1
    widths: dict[Column, int] = defaultdict(int)
    for (_, column), count in counts.items():
        widths[column] = max(widths[column], count)
    stretches, start = {}, 0
    for column in order:
        stretches[column] = Stretch(start, widths[column])
        start += widths[column]
    return stretches


def place_boxes(
    jobs: Sequence[PicturedJob],
    cells: Sequence[tuple[Row, Column]],
    rows: Mapping[Row, Stretch],
    columns: Mapping[Column, Stretch],
) -> list[Box]:
    """Return the box of each job; the jobs of one cell share its width, in the order of their splits."""
    together: dict[tuple[Row, Column], list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        together[cell].append(place)
    boxes: list[Box] = [Box(0, 0, 0, 0)] * len(jobs)
    for (row, column), places in together.items():
        across, down = columns[column], rows[row]
        if len(places) > 1:
            places.sort(key=lambda place: (jobs[place].split or 0, place))
        width = across.length / len(places)
        for number, place in enumerate(places):
            x = round(across.start + number * width, _DECIMALS)
            boxes[place] = Box(x, down.start, round(width, _DECIMALS), down.length)
    return boxes
