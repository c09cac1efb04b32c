"""The grid: chunks from left to right; below each other sections, in them start dates and members."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from jobs.pictures.cells import Stretch, measure_columns, place_boxes
from jobs.pictures.picture import Band, Picture, PicturedJob, name_date

CELL = (30.0, 20.0)
BETWEEN_SECTIONS = 0.5
NO_CHUNK = "–"

Row = tuple[str, datetime | None, str]


def lay_out_grid(jobs: Sequence[PicturedJob]) -> Picture:
    """Return the grid. Sections come in the order of their first jobs; jobs without a chunk have the first column."""
    cells = [((job.section, job.date, job.member), job.chunk) for job in jobs]
    rows = _order_rows(cells_row for cells_row, _ in cells)
    stretches, groups = _measure_rows(rows)
    chunks = sorted({chunk for _, chunk in cells}, key=lambda chunk: (chunk is not None, chunk or 0))
    columns = measure_columns(cells, chunks)
    has_one_date = len({date for _, date, _ in rows if date}) < 2
    return Picture(
        jobs=jobs,
        boxes=place_boxes(jobs, cells, stretches, columns),
        cell=CELL,
        rows=[stretch.label(_name_row(row, has_one_date)) for row, stretch in stretches.items()],
        groups=groups,
        columns=[stretch.label(NO_CHUNK if chunk is None else str(chunk)) for chunk, stretch in columns.items()],
    )


def _order_rows(rows: Iterable[Row]) -> list[Row]:
    """Return each row once: sections as they come, dates and members sorted, fc2 before fc10."""
    known = dict.fromkeys(rows)
    sections = {section: number for number, section in enumerate(dict.fromkeys(section for section, _, _ in known))}

    def rank(row: Row) -> tuple[int, bool, float, int, str]:
        section, date, member = row
        return sections[section], date is not None, date.timestamp() if date else 0, len(member), member

    return sorted(known, key=rank)


def _measure_rows(rows: Sequence[Row]) -> tuple[dict[Row, Stretch], list[Band]]:
    """Return where each row is, and the bands of the sections."""
    stretches: dict[Row, Stretch] = {}
    starts: dict[str, float] = {}
    y = 0.0
    for row in rows:
        section = row[0]
        if starts and section not in starts:
            y += BETWEEN_SECTIONS
        starts.setdefault(section, y)
        stretches[row] = Stretch(y, 1)
        y += 1
    ends = {row[0]: stretch.start + stretch.length for row, stretch in stretches.items()}
    return stretches, [Band(section, start, ends[section] - start) for section, start in starts.items()]


def _name_row(row: Row, has_one_date: bool) -> str:
    _, date, member = row
    return " ".join(filter(None, ["" if has_one_date and member else name_date(date), member]))
