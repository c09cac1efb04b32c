"""A workflow as the layouts see it."""

from collections.abc import Iterator
from datetime import UTC, datetime

from jobs.pictures.picture import Edge, PicturedJob

START = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())


def list_workflow(members: int, chunks: int) -> tuple[list[PicturedJob], list[Edge]]:
    """Return INI, then in each chunk of each member SIM and POST, and at last FINAL; a SIM waits for that before it."""
    jobs = [PicturedJob(1, "a000_INI", "COMPLETED", "INI")]
    for member in range(members):
        for chunk in range(1, chunks + 1):
            for section in ("SIM", "POST"):
                name = f"a000_20000101_fc{member}_{chunk}_{section}"
                jobs.append(PicturedJob(len(jobs) + 1, name, "WAITING", section, START, f"fc{member}", chunk))
    jobs.append(PicturedJob(len(jobs) + 1, "a000_FINAL", "WAITING", "FINAL"))
    return jobs, list(_list_edges(len(jobs), chunks))


def _list_edges(count: int, chunks: int) -> Iterator[Edge]:
    for place in range(1, count - 1, 2):
        is_first = (place - 1) // 2 % chunks == 0
        yield (0 if is_first else place - 2, place)
        yield (place, place + 1)
        yield (place + 1, count - 1)
