"""The forms of a pickled job list, each made into plain rows that say the same.

Other local users may have written the bytes. A pickle of a few of them can ask for more memory than there is, for
minutes of computing, or for a value nested so deeply that the interpreter dies of it: only a process with limits may
decode one, as the readers of the agent are. What comes out are lists of short texts, numbers and None.

| Autosubmit | form |
| --- | --- |
| 3.x | list of tuples of 12 |
| 4.0, and 4.1 up to 4.1.8 | list of tuples of 13: the wrapper comes last |
| 4.1.9 to 4.1.11 | graph of networkx with a Job in each node |
| 4.1.12 to 4.1.17 | dict: job name to dict of attributes |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from autosubmit_portal.sentences import say
from jobs.autosubmit.job_record import COLUMNS
from jobs.autosubmit.pickles import unpickler
from jobs.autosubmit.pickles.unpickler import Boolean, Inert, TaggedScalar
from jobs.autosubmit.refusal import Refused
from jobs.autosubmit.values import LARGEST_ID, LONGEST_TEXT, to_text

_ATTRIBUTES = (
    *("_section", "date", "_member", "_chunk", "_split", "_splits", "priority", "platform_name", "id"),
    *("_wallclock", "_processors"),
)
"""The attributes of a Job that stand in a row as they are, from the section on."""

MAX_JOBS = 500_000
"""More than the largest workflows. A few bytes of a pickle are enough to repeat a job, so the bytes do not limit it."""

MAX_EDGES = 2_000_000

_NO_LOGS = ("", "")

Scalar = str | int | float | None
Row = list[Scalar]
Edge = tuple[str, str]
Rows = tuple[Iterator[Row], Iterator[Edge]]


def decode(data: bytes) -> Rows:
    """Return the jobs and the edges of a pickled job list. Raises Refused."""
    return extract_rows(unpickler.load(data))


def extract_rows(data: object) -> Rows:
    """Return the jobs that an unpickled job list holds, and the edges (parent, child) where it has them.

    Both are made while they are asked for. Raises Refused, also then, when it is no form that Autosubmit has ever
    written, or more than is mirrored.
    """
    for form, read in _FORMS.items():
        if isinstance(data, form):
            return read(data)
    raise Refused(say("unknown form of job list: {kind}", kind=type(data).__name__))


def require_mirrored(jobs: int) -> None:
    """Raise Refused for more jobs than are mirrored."""
    if jobs > MAX_JOBS:
        raise Refused(
            say(
                "refused: it has {jobs} jobs, and the portal mirrors at most {most}",
                jobs=f"{jobs:,}",
                most=f"{MAX_JOBS:,}",
            )
        )


def _read_dict(data: Mapping[object, object]) -> Rows:
    require_mirrored(len(data))
    return map(_make_row_of_attributes, data.values()), iter(())


def _read_graph(graph: Inert) -> Rows:
    state = _require_mapping(graph.state)
    nodes = _require_mapping(state.get("_node"))
    require_mirrored(len(nodes))
    jobs = (_require_mapping(node).get("job") for node in nodes.values())
    states = (job.state if isinstance(job, Inert) else job for job in jobs)
    return map(_make_row_of_attributes, states), _read_edges(_require_mapping(state.get("_adj")))


def _read_list(data: Sequence[object]) -> Rows:
    require_mirrored(len(data))
    return map(_make_row_of_tuple, data), iter(())


_FORMS: dict[type, Callable[[Any], Rows]] = {dict: _read_dict, Inert: _read_graph, list: _read_list}


def _read_edges(adjacency: Mapping[object, object]) -> Iterator[Edge]:
    count = 0
    for parent, children in adjacency.items():
        count += len(_require_mapping(children))
        if count > MAX_EDGES:
            raise Refused(
                say("refused: it has more than {most} edges, which is what the portal mirrors", most=f"{MAX_EDGES:,}")
            )
        yield from ((_read_name(parent), _read_name(child)) for child in _require_mapping(children))


def _make_row_of_attributes(value: object) -> Row:
    """Return the row of a job. Each job of each list that changes comes this way, hence no dictionaries."""
    job = _require_mapping(value)
    name, local, remote = _read_name(job.get("_name")), job.get("_local_logs"), job.get("_remote_logs")
    return [
        name,
        _read_scalar(job.get("_status", job.get("status"))),
        *map(_read_scalar, map(job.get, _ATTRIBUTES)),
        *_read_logs(name, local, remote),
        *_read_logs(name, remote, None),
        _read_scalar(job.get("_fail_count")),
    ]


def _make_row_of_tuple(job: object) -> Row:
    if not isinstance(job, tuple) or len(job) < 12:
        raise Refused(say("unknown form of job list: a list of something else than jobs"))
    names = ("id", "status", "priority", "section", "date", "member", "chunk")
    logs = ("local_logs_out", "local_logs_err", "remote_logs_out", "remote_logs_err")
    fields = dict(zip(names + logs, job[1:12], strict=True))
    return [_read_name(job[0]), *map(_read_scalar, map(fields.get, COLUMNS[1:]))]


def _require_mapping(value: object) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise Refused(say("unknown form of job list: {kind} where attributes belong", kind=type(value).__name__))
    return value


def _read_name(value: object) -> str:
    name = to_text(value)
    if not name:
        raise Refused(say("unknown form of job list: a job without a name"))
    return name


def _read_scalar(value: object) -> Scalar:
    """Return a short text or a number of 64 bits as it is, a date as ISO text, and None for all else."""
    if value is None or (type(value) is str and len(value) <= LONGEST_TEXT):
        return value
    if type(value) is int and abs(value) <= LARGEST_ID:
        return value  # nearly always one of these
    return _read_unusual(value.text if isinstance(value, TaggedScalar) else value)


def _read_unusual(value: object) -> Scalar:
    if isinstance(value, bool | Boolean):
        return None
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_ID else None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    return value if isinstance(value, float) else None


def _read_logs(name: str, value: object, other: object) -> tuple[str, str]:
    """Return the names of output and error log, which are a pair: of most jobs a blank one.

    After `recovery` and `setstatus` 4.1.17 has the names that it took from its history in the wrong places: the output
    log alone where the local pair belongs, the error log where the remote pair does.
    """
    if value == _NO_LOGS:
        return _NO_LOGS
    if isinstance(value, tuple | list) and len(value) == 2:
        return _read_log(name, value[0]), _read_log(name, value[1])
    return (_read_log(name, value), _read_log(name, other)) if isinstance(other, str) else ("", "")


def _read_log(name: str, value: object) -> str:
    """Return the name of a log. After a run 4.1.17 has `<job>.0.out`, a name from before the submission: no file."""
    log = to_text(value)
    return "" if log.startswith(f"{name}.0.") else log
