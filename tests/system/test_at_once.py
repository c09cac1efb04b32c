"""Many who ask for the same thing at the same moment, through the real web server, on each database."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

from autosubmit_portal.audit.tally import MOST_REFUSALS
from tests.support.services import Answer, Portal, processes_of
from tests.support.waiting import wait_for


def at_once(number: int, ask: Callable[[], Answer]) -> list[Answer]:
    """Call `ask` in so many threads, none before all are there; return what each was answered."""
    barrier = Barrier(number)

    def ask_together() -> Answer:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(number) as pool:
        calls = [pool.submit(ask_together) for _ in range(number)]
        return [call.result() for call in calls]


def mirrored(portal: Portal, kind: str) -> str:
    """Make an experiment as from a terminal and wait until the portal shows its jobs."""
    expid = portal.make_experiment(kind)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body.get("total"))
    return expid


def events(portal: Portal, **query: str) -> Counter[str]:
    """Return how often each thing stands in the trail."""
    words = "&".join(f"{name}={text}" for name, text in query.items())
    entries = portal.http.get(f"/v4/audit?page_size=500&{words}").body["results"]
    return Counter(entry["event"] for entry in entries)


def runs(home: Path, expid: str) -> int:
    """Return how many runs of the experiment live."""
    return sum(line.endswith(f"autosubmit run {expid}") for line in processes_of(home).values())


def test_of_two_hundred_starts_at_once_one_starts(portal: Portal) -> None:
    expid, began = mirrored(portal, "long"), time.monotonic()
    answers = at_once(200, lambda: portal.http.post(f"/v4/experiments/{expid}?action=run"))
    assert Counter(answer.status for answer in answers) == {202: 1, 409: 199}
    started = next(answer.body for answer in answers if answer.status == 202)
    wait_for(lambda: portal.http.get(f"/v4/experiments/{expid}").body["is_running"])
    assert {answer.body["action_id"] for answer in answers if answer.status == 409} == {started["id"]}
    minutes = int((time.monotonic() - began) // 60) + 1
    counted = wait_for(lambda: events(portal, expid=expid), is_enough=lambda each: each["action.command_started"] > 0)
    assert counted["action.requested"] == counted["action.command_started"] == 1
    assert counted["action.refused"] in range(MOST_REFUSALS, minutes * MOST_REFUSALS + 1)
    # What a run starts has its command line until it has its own.
    wait_for(lambda: runs(portal.autosubmit.home, expid) == 1)
    logs = portal.autosubmit.home / "autosubmit" / expid / "tmp" / "ASLOGS"
    assert len(list(logs.glob("*_run.log"))) == 1


def answered_alike(answers: list[Answer], body: Callable[[Answer], Any]) -> set[int]:
    """Assert that one answer is new and the others are the same again; return the ids of their actions."""
    assert {answer.status for answer in answers} <= {200, 202}, [answer.body for answer in answers]
    replayed = Counter(answer.headers.get("Idempotent-Replayed") for answer in answers)
    assert replayed == {None: 1, "true": len(answers) - 1}
    return {body(answer)["id"] for answer in answers}


def test_of_many_starts_with_one_key_all_are_answered_the_same_action(portal: Portal) -> None:
    expid = mirrored(portal, "small")
    path = f"/v4/experiments/{expid}?action=run"
    answers = at_once(30, lambda: portal.http.post(path, Idempotency_Key=f"start {expid}"))
    assert len(answered_alike(answers, lambda answer: answer.body)) == 1
    assert events(portal, expid=expid)["action.requested"] == 1
    assert events(portal, expid=expid)["action.refused"] == 0


def test_of_many_creations_with_one_key_one_is_made(portal: Portal) -> None:
    body = {"description": "once", "dummy": True}
    answers = at_once(30, lambda: portal.http.post("/v4/experiments", body, Idempotency_Key="once"))
    (action_id,) = answered_alike(answers, lambda answer: answer.body)
    made = wait_for(lambda: portal.http.get(f"/v4/actions/{action_id}").body, is_enough=lambda a: a["ended_at"])
    again = portal.http.post("/v4/experiments", body, Idempotency_Key="once")
    assert (again.status, again.body["expid"]) == (200, made["expid"])
    found = portal.http.get("/v4/experiments?page_size=500").body["experiments"]
    assert [item["expid"] for item in found if item["description"] == "once"] == [made["expid"]]


def test_of_many_bulk_requests_with_one_key_each_experiment_gets_one_action(portal: Portal) -> None:
    expids = [mirrored(portal, "small") for _ in range(2)]
    body = {"kind": "run", "targets": [{"expid": expid} for expid in expids]}
    answers = at_once(20, lambda: portal.http.post("/v4/actions", body, Idempotency_Key="-".join(expids)))
    results = [answer.body["results"] for answer in answers]
    for place, expid in enumerate(expids):
        assert Counter(result[place]["is_replay"] for result in results) == {False: 1, True: 19}
        assert len({result[place]["action"]["id"] for result in results}) == 1
        assert events(portal, expid=expid)["action.requested"] == 1
