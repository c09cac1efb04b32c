"""The grid: chunks from left to right; below each other sections, in them start dates and members."""

from collections.abc import Iterable, Mapping, Sequence

from jobs.pictures.cells import list_groups, measure_columns, number, place_boxes, stack
from jobs.pictures.picture import Picture, PicturedJob, name_dates

CELL = (30.0, 20.0)
BETWEEN_SECTIONS = 0.5
NO_CHUNK = "–"

Row = tuple[str, int | None, str]
"""Section, start date and member."""


def lay_out_grid(jobs: Sequence[PicturedJob]) -> Picture:
    """Return the grid. Sections come in the order of their first jobs; jobs without a chunk have the first column."""
    keys = [(job.section, job.date, job.member) for job in jobs]
    rows = _order_rows(keys)
    chunks = sorted({job.chunk for job in jobs}, key=lambda chunk: (chunk is not None, chunk or 0))
    cells = [*zip(number(keys, rows), number((job.chunk for job in jobs), chunks), strict=True)]
    sections = [section for section, _, _ in rows]
    stretches = stack(sections, BETWEEN_SECTIONS)
    columns = measure_columns(cells, len(chunks))
    dates = name_dates(date for _, date, _ in rows)
    has_one_date = len(dates) < 3  # with that of jobs without one
    names = [_name_row(row, {} if has_one_date and row[2] else dates) for row in rows]
    return Picture(
        jobs=jobs,
        boxes=place_boxes(jobs, cells, stretches, columns),
        cell=CELL,
        rows=[band.label(name) for name, band in zip(names, stretches, strict=True)],
        groups=list_groups(sections, stretches),
        columns=[
            band.label(NO_CHUNK if chunk is None else str(chunk)) for chunk, band in zip(chunks, columns, strict=True)
        ],
    )


def _order_rows(rows: Iterable[Row]) -> list[Row]:
    """Return each row once: sections as they come, dates and members sorted, fc2 before fc10."""
    known = dict.fromkeys(rows)
    sections = {section: number for number, section in enumerate(dict.fromkeys(section for section, _, _ in known))}

    def rank(row: Row) -> tuple[int, bool, int, int, str]:
        section, date, member = row
        return sections[section], date is not None, date or 0, len(member), member

    return sorted(known, key=rank)


def _name_row(row: Row, dates: Mapping[int | None, str]) -> str:
    _, date, member = row
    return " ".join(filter(None, [dates.get(date), member]))
