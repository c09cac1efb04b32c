"""What others notice, and what it costs, while many look on, wait, follow, send slowly and do not read."""

import http.client
import http.cookiejar
import os
import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.services import Http
from tests.tools.bench import page
from tests.tools.bench.filled import Filled, filled
from tests.tools.bench.judgement import at_most, figure, table
from tests.tools.bench.load import Connection, Sample, Server
from tests.tools.bench.memory import family
from tests.tools.bench.page import Section

TABS, WAITS, FOLLOWERS, HEADS, READERS = 200, 50, 30, 50, 20
ACCOUNTS = 16
SECONDS = 30.0
TAB_SECONDS, AGAIN_SECONDS, ASK_SECONDS = 3.0, 5.0, 0.2
MOST_P95, MOST_HEALTH, MOST_CORES = 100.0, 500.0, 0.6
TICKS = os.sysconf("SC_CLK_TCK")
SHORT_LOG, LONG_LOG = "20261125_100000_run.log", "20261125_110000_create.log"
TEXT = """{context}

{verdicts}

- **Crowd**: {tabs} open tabs of the console, each on the page of an experiment, {waits} requests with
  `Prefer: wait=60`, {followers} followed logs, {heads} unfinished heads and {readers} readers of a log of 200 MB that
  do not read, for {seconds:g} s. Who finds no place to wait asks again after the `Retry-After` that it is told; a tab
  that finds none keeps what it shows until it asks again.
- **Others**: one client that asks for an experiment, and one for `/healthz`, every {ask:g} s.
- **Cores**: the processor time of the two web processes of eight threads, on SQLite. All clients share the machine.
"""


def run(folder: Path, program: Path, *, seconds: float = SECONDS) -> Section:
    """Measure on SQLite; `program` is the real Autosubmit."""
    context = page.context()
    with filled(folder, program, "tests.tools.bench.fill_changes", TABS, ACCOUNTS, databases=["SQLite"]) as (
        one,
    ):
        experiment, health, cores = _measured(one, folder / "autosubmit-home" / "autosubmit", seconds)
    print(experiment.p95, health.p95, cores, flush=True)
    verdicts = [
        at_most("experiment, p95", MOST_P95, experiment.p95, " ms"),
        at_most("`/healthz`, slowest", MOST_HEALTH, max(health.milliseconds), " ms"),
        at_most("cores", MOST_CORES, cores),
    ]
    text = TEXT.format(
        context=f"{context} The experiment needed {figure(experiment.p50)} ms at the median.",
        verdicts=table(verdicts),
        tabs=TABS,
        waits=WAITS,
        followers=FOLLOWERS,
        heads=HEADS,
        readers=READERS,
        seconds=seconds,
        ask=ASK_SECONDS,
    )
    return Section("Load", text)


def _measured(one: Filled, store: Path, seconds: float) -> tuple[Sample, Sample, float]:
    expids, tokens = one.facts["expids"], one.facts["tokens"]
    _write_logs(store / expids[0] / "tmp" / "ASLOGS")
    one.portal.manage("collectstatic", "--no-input", "--verbosity=0")  # pages name them
    one.portal.stop("web")
    one.portal.start("web")
    is_over = threading.Event()
    cookie = _cookie(one)
    begin: list[Callable[[], None]] = []
    begin += [lambda number=n: _tab(one, cookie, number, is_over) for n in range(TABS)]  # type: ignore[misc]
    begin += [lambda n=n: _wait(one, expids[n], tokens[n % ACCOUNTS], is_over) for n in range(WAITS)]  # type: ignore[misc]
    begin += [lambda n=n: _follow(one, expids[0], tokens[n % ACCOUNTS], is_over) for n in range(FOLLOWERS)]  # type: ignore[misc]
    threads = [threading.Thread(target=_until_it_ends, args=(work,), daemon=True) for work in begin]
    for thread in threads:
        thread.start()
    slow = [_send(one, "GET / HTTP/1.1\r\n") for _ in range(HEADS)]
    path = f"/v4/experiments/{expids[0]}/logs/{LONG_LOG}"
    slow += [
        _send(
            one,
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {tokens[n % ACCOUNTS]}\r\n\r\n",
        )
        for n in range(READERS)
    ]
    time.sleep(AGAIN_SECONDS)
    began, used = time.monotonic(), _processor(one)
    experiment, health = _others(one, f"/v4/experiments/{expids[-1]}", tokens[0], seconds)
    cores = (_processor(one) - used) / (time.monotonic() - began)
    is_over.set()
    for connection in slow:
        connection.close()
    return experiment, health, cores


def _until_it_ends(work: Callable[[], None]) -> None:
    with suppress(OSError, http.client.HTTPException):  # the portal is killed under them in the end
        work()


def _write_logs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SHORT_LOG).write_text("begun\n")
    os.utime(folder / SHORT_LOG, (time.time() + 3600, time.time() + 3600))  # as if it were still written
    with (folder / LONG_LOG).open("wb") as file:
        file.truncate(200_000_000)


def _cookie(one: Filled) -> str:
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.open(f"{one.portal.url}/login/").close()
    values = {cookie.name: cookie.value or "" for cookie in jar}
    form = {
        "username": one.portal.credentials.username,
        "password": one.portal.credentials.password,
        "csrfmiddlewaretoken": values["csrftoken"],
        "next": "/healthz",
    }
    opener.open(f"{one.portal.url}/login/", urllib.parse.urlencode(form).encode()).close()
    return next(f"sessionid={cookie.value}" for cookie in jar if cookie.name == "sessionid")


def _tab(one: Filled, cookie: str, number: int, is_over: threading.Event) -> None:
    address = f"{one.portal.url}/experiments/experiment/{number + 1}/change/"
    request = urllib.request.Request(address, headers={"Cookie": cookie, "HX-Request": "true"})
    is_over.wait(TAB_SECONDS * number / TABS)
    while not is_over.is_set():
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
        is_over.wait(TAB_SECONDS)


def _wait(one: Filled, expid: str, token: str, is_over: threading.Event) -> None:
    http = Http(one.portal.url, token)
    asked = http.post(f"/v4/experiments/{expid}?action=generate", {}, Prefer="wait=60")
    while not is_over.wait(AGAIN_SECONDS):
        http.get(asked.headers["Location"])


def _follow(one: Filled, expid: str, token: str, is_over: threading.Event) -> None:
    path = f"/v4/experiments/{expid}/logs/{SHORT_LOG}?format=json&offset=6"
    while not is_over.is_set():
        answer = Http(one.portal.url, token).get(path, Prefer="wait=20")
        is_over.wait(float(answer.headers.get("Retry-After", 0)))


def _send(one: Filled, text: str) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", one.portal.port))
    made.sendall(text.encode())
    return made


def _others(one: Filled, path: str, token: str, seconds: float) -> tuple[Sample, Sample]:
    connection = Connection(Server(one.database, one.portal.url, token))
    experiment, health = Sample(), Sample()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for address, sample in ((path, experiment), ("/healthz", health)):
            began = time.perf_counter()
            status, _ = connection.ask(connection.request(address))
            sample.milliseconds.append((time.perf_counter() - began) * 1000)
            sample.statuses[status] += 1
        time.sleep(ASK_SECONDS)
    connection.close()
    assert set(experiment.statuses) == {200}, experiment.failure
    return experiment, health


def _processor(one: Filled) -> float:
    """Return the seconds of processor that the web processes have used."""
    pids = family(one.portal.processes["web"].pid)
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICKS
