"""How fast the reads of the API answer, ours and those of the peer by turns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.services import Http
from tests.tools.bench.load import Sample, Server, take_turn
from tests.tools.bench.stores import Store

CLIENTS = (1, 8)
# What disturbs the machine for some seconds must not be one server's share alone, so that turns are short; a server
# that has had its time in fewer, long ones waits until the others have had theirs.
ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Question:
    """A path to ask for; `faster` is how many times faster than the peer the answer must come at least.

    `{number}` is another number each time, so that no answer of ours is one that was kept.
    """

    title: str
    path: str
    faster: float = 1.0


PAGE = Question("page of 50 experiments", "/v4/experiments?page_size=50&only_active=false", 20)
SEARCH = Question("search", "/v4/experiments?query={word}&page_size=50&only_active=false", 20)
QUESTIONS = (
    PAGE,
    Question("its page 20", "/v4/experiments?page_size=50&page=20&only_active=false"),
    SEARCH,
    Question("search by owner and HPC", "/v4/experiments?owner=groca&hpc=LUMI&page_size=50&only_active=false"),
    Question("experiment", "/v4/experiments/{big}"),
    Question("all jobs", "/v4/experiments/{big}/jobs", 10),
    Question("all jobs, none kept", "/v4/experiments/{big}/jobs?fail_count_max={number}"),
    Question("all jobs, quick view", "/v4/experiments/{big}/jobs?view=quick"),
    Question("page of 50 jobs", "/v4/experiments/{big}/jobs?page_size=50"),
    Question("running jobs", "/v4/experiments/{big}/jobs?status=RUNNING&page_size=50"),
    Question("one job", "/v4/experiments/{big}/jobs/{job}", 20),
    Question("parents", "/v4/experiments/{big}/jobs/{job}/parents"),
    Question("children", "/v4/experiments/{big}/jobs/{job}/children"),
    Question("children with status", "/v4/experiments/{big}/jobs/{job}/children?include_status=true", 20),
    Question("runs", "/v4/experiments/{big}/runs"),
    Question("configuration of a run", "/v4/experiments/{big}/runs/{run}/config"),
    Question("configuration on disk", "/v4/experiments/{big}/filesystem-config"),
    Question("wrappers", "/v4/experiments/{big}/wrappers"),
    Question("estimated time of arrival", "/v4/experiments/{big}/eta"),
    Question("runs with user metrics", "/v4/experiments/{big}/user-metrics-runs"),
    Question("user metrics of a run", "/v4/experiments/{big}/runs/{run}/user-metrics"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What the servers answered, by name, to one question with a number of clients; `items` is how much of it."""

    question: Question
    clients: int
    samples: dict[str, Sample]
    items: dict[str, int]


def ask(questions: tuple[Question, ...], servers: list[Server], store: Store, seconds: float) -> Iterator[Row]:
    """Put each question to all servers by turns, `seconds` to each with each number of clients."""
    values = _values(servers[0], store)
    for question in questions:
        path = question.path.format(**values)
        items = {
            server.name: _items(server, path.format(number=10**9)) for server in servers
        }  # untimed: it fills the caches
        for clients in CLIENTS:
            samples = {server.name: Sample() for server in servers}
            while waiting := [server for server in servers if samples[server.name].seconds < seconds]:
                for server in waiting:
                    turn = take_turn(server, path, clients=clients, seconds=seconds / ROUNDS)
                    samples[server.name].add(turn)
            yield Row(question, clients, samples, items)


def _values(server: Server, store: Store) -> dict[str, Any]:
    """Return what fills the paths: a job in the middle that others wait for, and the last run."""
    http = Http(server.url, server.token)
    jobs = http.get(f"/v4/experiments/{store.big}/jobs?view=quick").body["jobs"]
    names = [job["name"] for job in jobs]
    middle = len(names) // 2
    job = next(name for name in names[middle:] + names[:middle] if _has_children(http, store.big, name))
    runs = http.get(f"/v4/experiments/{store.big}/runs").body["runs"]
    run = max((run["run_id"] for run in runs), default=1)
    return {"big": store.big, "word": store.word, "job": job, "run": run, "number": "{number}"}


def _has_children(http: Http, expid: str, job: str) -> bool:
    return bool(http.get(f"/v4/experiments/{expid}/jobs/{job}/children").body["children"])


def _items(server: Server, path: str) -> int:
    """Return how long the list in an answer is; 0 without one."""
    body = Http(server.url, server.token).get(path).body
    lists = [value for value in body.values() if isinstance(value, list)] if isinstance(body, dict) else []
    return len(lists[0]) if lists else 0
