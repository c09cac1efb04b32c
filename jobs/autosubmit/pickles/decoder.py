"""Lines of JSON of a pickled job list.

A pickle of a few bytes can ask for more memory than there is, for minutes of computing, or for a value nested so
deeply that the interpreter dies of it: only a process with limits may decode one, as the readers of the agent are.
Nothing is gathered: a long list leaves line by line.
"""

import json
from collections.abc import Iterator
from itertools import islice

from jobs.autosubmit.pickles import unpickler
from jobs.autosubmit.pickles.formats import extract_rows

_EDGES_A_LINE = 1000


def decode(data: bytes) -> Iterator[bytes]:
    """Yield a line for each job, a list; then lines of edges, `{"edges": […]}` with a thousand each. Raises Refused."""
    jobs, edges = extract_rows(unpickler.load(data))
    for row in jobs:
        yield _make_line(row)
    while some := list(islice(edges, _EDGES_A_LINE)):
        yield _make_line({"edges": some})


def _make_line(value: object) -> bytes:
    return json.dumps(value).encode()
