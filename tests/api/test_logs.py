"""Listing, reading, following and searching the logs of an experiment and of its jobs."""

import gzip
import lzma
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from experiments.models import Experiment, Site
from jobs.autosubmit.logs import decompress
from jobs.models import Job
from tests.api.test_schema import document, errors_of
from tests.support.headers import complaints
from tests.support.stores.written import write_store

# Other tests ask the same of PostgreSQL, tests/test_queries.py first of all.
pytestmark = pytest.mark.one_database

RUN = "20261125_100000_run.log"
RUN_LOG = f"/v4/experiments/a000/logs/{RUN}"
TEXT = "Preparing…\nRun successful\n"
BYTES = TEXT.encode()


@pytest.fixture
def folder(experiment: Experiment, tmp_path: Path) -> Path:
    """The folder of the experiment, whose run was logged and whose SIM has an output."""
    made = write_store(tmp_path, "a000")
    Site.objects.update(home=str(tmp_path))
    (made / "tmp" / "ASLOGS" / RUN).write_bytes(BYTES)
    os.utime(made / "tmp" / "ASLOGS" / RUN, (1_000_000_000, 1_000_000_000))
    (made / "tmp" / "LOG_a000" / "a000_20000101_fc0_1_SIM.1.out").write_bytes(b"simulated\n")
    return made


@pytest.fixture
def run_log(folder: Path) -> Path:
    """The file of the log of the run."""
    return folder / "tmp" / "ASLOGS" / RUN


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def sent(answer: Any) -> Any:
    """Take the whole answer and return what stands before it."""
    body(answer)
    return answer


def part(client: APIClient, address: str = RUN_LOG, headers: dict[str, str] | None = None, **query: Any) -> Any:
    answer = client.get(address, {"format": "json", **query}, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.json()


# --- Lists


def test_the_logs_of_an_experiment_are_listed_newest_first(as_viewer: APIClient, run_log: Path) -> None:
    (run_log.parent / "20261126_100000_create.log.gz").write_bytes(gzip.compress(b"made"))
    newest, oldest = as_viewer.get("/v4/experiments/a000/logs").json()["logs"]
    assert (newest["name"], newest["kind"]) == ("20261126_100000_create.log.gz", "create")
    assert newest["is_compressed"]
    assert oldest == {
        "name": RUN,
        "kind": "run",
        "size": len(BYTES),
        "modified": "2001-09-09T01:46:40+00:00",
        "is_compressed": False,
        "url": RUN_LOG,
    }


def test_a_list_comes_in_pages(as_viewer: APIClient, run_log: Path) -> None:
    for number in range(4):
        (run_log.parent / f"{number}.log").touch()
    answer = as_viewer.get("/v4/experiments/a000/logs?page_size=2&page=3").json()
    assert [log["name"] for log in answer["logs"]] == [RUN]
    assert (answer["pagination"]["total_pages"], answer["pagination"]["total_items"]) == (3, 5)


def test_the_logs_of_a_job_are_listed(as_viewer: APIClient, folder: Path, job: Job) -> None:
    (folder / "tmp" / f"{job.name}.cmd").write_text("#!/bin/sh\n")
    logs = as_viewer.get(f"/v4/experiments/a000/jobs/{job.name}/logs").json()["logs"]
    assert {log["kind"] for log in logs} == {"out", "script"}
    assert body(as_viewer.get(next(log["url"] for log in logs if log["kind"] == "out"))) == b"simulated\n"


def test_a_name_that_must_be_quoted_is_found_by_its_address(as_viewer: APIClient, run_log: Path) -> None:
    run_log.rename(run_log.with_name("a b?#%.log"))
    (log,) = as_viewer.get("/v4/experiments/a000/logs?site=local").json()["logs"]
    assert log["url"].endswith("?site=local")
    assert body(as_viewer.get(log["url"])) == BYTES


# --- Content


def test_a_log_is_text_that_no_browser_takes_for_anything_else(as_viewer: APIClient, run_log: Path) -> None:
    answer = as_viewer.get(RUN_LOG)
    assert body(answer) == BYTES
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == f'inline; filename="{RUN}"'
    assert (answer["Content-Length"], answer["Accept-Ranges"]) == (str(len(BYTES)), "bytes")


@pytest.mark.parametrize("address", [RUN_LOG, f"{RUN_LOG}?format=json", f"{RUN_LOG}x", "/v4/experiments"])
def test_what_is_no_page_runs_nothing_in_a_browser(as_viewer: APIClient, run_log: Path, address: str) -> None:
    answer = as_viewer.get(address)
    answer.close()
    assert "sandbox" in answer["Content-Security-Policy"].split("; ")
    assert complaints(answer.headers, cookies=[]) == []


def test_a_log_is_saved_under_its_name(as_viewer: APIClient, run_log: Path) -> None:
    answer = sent(as_viewer.get(f"{RUN_LOG}?download=true"))
    assert answer["Content-Disposition"] == f'attachment; filename="{RUN}"'


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-3", 0, 3), ("bytes=5-", 5, 27), ("bytes=-4", 24, 27), ("bytes=20-999", 20, 27), ("bytes=-999", 0, 27)],
)
def test_a_range_is_answered(as_viewer: APIClient, run_log: Path, asked: str, first: int, last: int) -> None:
    answer = as_viewer.get(RUN_LOG, headers={"Range": asked})
    assert (answer.status_code, body(answer)) == (206, BYTES[first : last + 1])
    assert answer["Content-Range"] == f"bytes {first}-{last}/28"
    assert answer["Content-Length"] == str(last - first + 1)
    assert answer["Content-Encoding"] == "identity"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=x-", ""])
def test_what_is_no_single_range_answers_the_whole(as_viewer: APIClient, run_log: Path, asked: str) -> None:
    answer = as_viewer.get(RUN_LOG, headers={"Range": asked})
    assert (answer.status_code, body(answer)) == (200, BYTES)


@pytest.mark.parametrize("asked", ["bytes=28-", "bytes=999-1000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(as_viewer: APIClient, run_log: Path, asked: str) -> None:
    answer = as_viewer.get(RUN_LOG, headers={"Range": asked})
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */28")
    assert answer.json()["type"] == "urn:autosubmit-portal:range-not-satisfiable"


def test_a_range_of_a_file_that_has_changed_is_the_whole(as_viewer: APIClient, run_log: Path) -> None:
    headers = {"Range": "bytes=0-3", "If-Range": as_viewer.head(RUN_LOG)["ETag"]}
    assert sent(as_viewer.get(RUN_LOG, headers=headers)).status_code == 206
    run_log.write_bytes(BYTES + b"more")
    assert body(as_viewer.get(RUN_LOG, headers=headers)) == BYTES + b"more"


def test_a_range_may_depend_on_a_time(as_viewer: APIClient, run_log: Path) -> None:
    for when, status in (("Sun, 09 Sep 2001 01:46:40 GMT", 206), ("Sun, 09 Sep 2001 01:46:41 GMT", 200)):
        headers = {"Range": "bytes=0-3", "If-Range": when}
        assert sent(as_viewer.get(RUN_LOG, headers=headers)).status_code == status


def test_a_log_that_is_known_is_not_sent_again(as_viewer: APIClient, run_log: Path) -> None:
    etag = as_viewer.head(RUN_LOG)["ETag"]
    assert as_viewer.get(RUN_LOG, headers={"If-None-Match": etag}).status_code == 304


def test_the_size_may_be_asked_for_alone(as_viewer: APIClient, run_log: Path) -> None:
    answer = as_viewer.head(RUN_LOG)
    assert (answer.status_code, answer["Content-Length"], answer.content) == (200, "28", b"")


def test_a_part_may_be_chosen_as_of_the_output_of_an_action(as_viewer: APIClient, run_log: Path) -> None:
    assert body(as_viewer.get(RUN_LOG, {"offset": 13, "limit": 4})) == b"Run "
    assert body(as_viewer.get(RUN_LOG, {"offset": -5})) == BYTES[-5:]
    assert body(as_viewer.get(RUN_LOG, {"offset": 99})) == b""


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_range_of_a_compressed_log_is_one_of_its_content(as_viewer: APIClient, run_log: Path, pack: Any) -> None:
    suffix = ".gz" if pack is gzip.compress else ".xz"
    run_log.with_name(RUN + suffix).write_bytes(pack(b"0123456789" * 100_000))
    run_log.unlink()
    answer = as_viewer.get(RUN_LOG, headers={"Range": "bytes=500003-500005"})
    assert (body(answer), answer["Content-Range"]) == (b"345", "bytes 500003-500005/1000000")
    assert answer["Content-Disposition"] == f'inline; filename="{RUN}"'


@pytest.mark.parametrize("query", ["", "?format=json", "?search=x"])
def test_a_compressed_log_that_holds_too_much_is_refused(
    as_viewer: APIClient, run_log: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(decompress, "MAX_BYTES", 1000)
    run_log.with_name("bomb.log.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    answer = as_viewer.get(f"/v4/experiments/a000/logs/bomb.log{query}")
    assert answer.status_code == 404
    assert "more than 1,000 bytes when unpacked" in answer.json()["detail"]


# --- Following


def test_a_log_is_followed_from_where_one_is(as_viewer: APIClient, run_log: Path) -> None:
    first = part(as_viewer)
    assert (first["text"], first["next_offset"], first["size"]) == (TEXT, 28, 28)
    with run_log.open("ab") as file:
        file.write(b"more\n")
    second = part(as_viewer, offset=28, file=first["file"])
    assert (second["text"], second["next_offset"], second["is_reset"], second["is_over"]) == (
        "more\n",
        33,
        False,
        False,
    )


def test_following_never_splits_a_character(as_viewer: APIClient, run_log: Path) -> None:
    seen, offset = "", 0
    while offset < len(BYTES):
        shown = part(as_viewer, offset=offset, limit=4)
        seen, offset = seen + shown["text"], shown["next_offset"]
    assert seen == TEXT


def test_a_log_that_was_replaced_or_cut_says_so_and_begins_again(as_viewer: APIClient, run_log: Path) -> None:
    file = part(as_viewer)["file"]
    run_log.rename(run_log.with_suffix(".1"))
    run_log.write_bytes(b"a new one, which is as long as the old one\n")
    replaced = part(as_viewer, offset=28, file=file)
    assert (replaced["is_reset"], replaced["offset"], replaced["text"][:5]) == (True, 0, "a new")
    run_log.write_bytes(b"cut\n")
    assert part(as_viewer, offset=28, file=replaced["file"])["text"] == "cut\n"


def test_the_log_of_a_quiet_experiment_is_over_at_its_end(as_viewer: APIClient, run_log: Path) -> None:
    assert part(as_viewer)["is_over"]
    assert not part(as_viewer, limit=4)["is_over"]
    Experiment.objects.update(is_running=True)
    assert not part(as_viewer)["is_over"]


def test_the_log_of_a_job_is_over_when_the_job_is(as_viewer: APIClient, folder: Path, job: Job) -> None:
    address = f"/v4/experiments/a000/jobs/{job.name}/logs/{job.name}.1.out"
    assert not part(as_viewer, address)["is_over"]
    Job.objects.update(status="COMPLETED", finished_at=timezone.now())
    assert part(as_viewer, address)["is_over"]


def test_the_log_of_a_job_that_runs_again_is_not_over(as_viewer: APIClient, folder: Path, job: Job) -> None:
    Job.objects.update(status="RUNNING", finished_at=timezone.now())
    assert not part(as_viewer, f"/v4/experiments/a000/jobs/{job.name}/logs/{job.name}.1.out")["is_over"]


def test_a_quiet_log_of_a_job_without_an_end_is_over(as_viewer: APIClient, folder: Path, job: Job) -> None:
    os.utime(folder / "tmp" / "LOG_a000" / f"{job.name}.1.out", (1_000_000_000, 1_000_000_000))
    Job.objects.update(status="FAILED", finished_at=None)
    assert part(as_viewer, f"/v4/experiments/a000/jobs/{job.name}/logs/{job.name}.1.out")["is_over"]


@pytest.mark.parametrize("seconds", [2**38, -(2**38)])
def test_a_log_of_an_impossible_time_is_read(as_viewer: APIClient, run_log: Path, seconds: int) -> None:
    os.utime(run_log, (seconds, seconds))
    assert body(as_viewer.get(f"/v4/experiments/a000/logs/{RUN}")) == BYTES


def test_a_part_from_the_end_begins_with_a_whole_character(as_viewer: APIClient, run_log: Path) -> None:
    run_log.write_bytes("aéü".encode())
    shown = part(as_viewer, offset=-3)
    assert (shown["text"], shown["offset"], shown["next_offset"]) == ("ü", 3, 5)


def test_a_compressed_log_is_over(as_viewer: APIClient, run_log: Path) -> None:
    Experiment.objects.update(is_running=True)
    run_log.with_name("packed.log.gz").write_bytes(gzip.compress(b"all"))
    shown = part(as_viewer, "/v4/experiments/a000/logs/packed.log")
    assert (shown["text"], shown["is_over"]) == ("all", True)


def test_who_prefers_to_wait_is_answered_when_more_is_written(as_viewer: APIClient, run_log: Path) -> None:
    Experiment.objects.update(is_running=True)
    writer = threading.Timer(0.5, lambda: run_log.write_bytes(BYTES + b"more\n"))
    writer.start()
    shown = part(as_viewer, offset=28, headers={"Prefer": "wait=60"})
    writer.join()
    assert shown["text"] == "more\n"


# --- Searching


def test_a_text_is_found_with_its_line(as_viewer: APIClient, run_log: Path) -> None:
    found = as_viewer.get(RUN_LOG, {"search": "SUCCESS", "ignore_case": "true"}).json()
    assert found["matches"] == [{"line": 2, "offset": 17, "length": 7, "excerpt": "Run successful"}]
    assert found["is_complete"]
    assert as_viewer.get(RUN_LOG, {"search": "SUCCESS"}).json()["matches"] == []


def test_a_search_goes_on_where_it_stopped(as_viewer: APIClient, run_log: Path) -> None:
    run_log.write_bytes(b"one\n" * 3)
    lines: list[int] = []
    query: dict[str, int] = {"offset": 0, "line": 1}
    for _ in range(3):
        found = as_viewer.get(f"{RUN_LOG}?search=one&most_matches=1&{urlencode(query)}").json()
        query = {"offset": found["next_offset"], "line": found["next_line"]}
        lines += [match["line"] for match in found["matches"]]
    assert lines == [1, 2, 3]


# --- Refusals


@pytest.mark.parametrize(
    "name", ["../autosubmit.lock", "..%2f..%2fautosubmit.db", "/etc/passwd", "..", "%00", "a%00b", ".", "%2e%2e"]
)
def test_a_hostile_name_is_not_found(as_viewer: APIClient, folder: Path, name: str) -> None:
    for base in ("/v4/experiments/a000/logs", "/v4/experiments/a000/jobs/a000_20000101_fc0_1_SIM/logs"):
        for address in (f"{base}/{name}", f"{base}/{quote(name, safe='')}"):
            answer = as_viewer.get(address)
            assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_what_leads_out_or_is_no_file_is_refused_with_the_reason(as_viewer: APIClient, run_log: Path) -> None:
    (run_log.parent / "out.log").symlink_to("/etc/passwd")
    os.mkfifo(run_log.parent / "pipe.log")
    for name, why in (("out.log", "leads out of the folder of a000"), ("pipe.log", "Not a regular file")):
        answer = as_viewer.get(f"/v4/experiments/a000/logs/{name}")
        assert answer.status_code == 404
        assert why in answer.json()["detail"]
    assert [log["name"] for log in as_viewer.get("/v4/experiments/a000/logs").json()["logs"]] == [RUN]


def test_a_store_that_is_not_there_is_told(as_viewer: APIClient, experiment: Experiment, tmp_path: Path) -> None:
    Site.objects.update(home=str(tmp_path))
    answer = as_viewer.get("/v4/experiments/a000/logs")
    assert answer.status_code == 503
    assert "There is no Autosubmit configuration" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("offset=x", "offset"),
        ("limit=1", "limit"),
        ("line=0", "line"),
        ("most_matches=1001", "most_matches"),
        ("search=%00", "search"),
        (f"search={'x' * 501}", "search"),
        ("follow=true", "follow"),
    ],
)
def test_a_wrong_parameter_is_named(as_viewer: APIClient, run_log: Path, query: str, field: str) -> None:
    answer = as_viewer.get(f"{RUN_LOG}?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_logs_are_for_those_who_may_see_the_experiment(api: Any, actor: Any, run_log: Path, job: Job) -> None:
    nobody: User = actor()
    for address in ("logs", f"logs/{RUN}", f"jobs/{job.name}/logs", f"jobs/{job.name}/logs/{job.name}.1.out"):
        assert api().get(f"/v4/experiments/a000/{address}").status_code == 401
        assert api(nobody).get(f"/v4/experiments/a000/{address}").status_code == 403


@pytest.mark.parametrize(
    "address", ["logs/nothing.log", "jobs/a000_POST/logs/a000_20000101_fc0_1_SIM.1.out", "jobs/no/logs"]
)
def test_what_is_not_there_is_not_found(as_viewer: APIClient, folder: Path, address: str) -> None:
    assert as_viewer.get(f"/v4/experiments/a000/{address}").status_code == 404


@pytest.mark.parametrize(
    ("address", "described"),
    [
        ("logs", "logs"),
        (f"logs/{RUN}?format=json", "logs/{log}"),
        (f"logs/{RUN}?search=Run", "logs/{log}"),
        ("jobs/a000_20000101_fc0_1_SIM/logs", "jobs/{job}/logs"),
    ],
)
def test_what_is_answered_is_what_is_described(
    as_viewer: APIClient, run_log: Path, address: str, described: str
) -> None:
    told = document()["paths"][f"/v4/experiments/{{expid}}/{described}"]["get"]["responses"]["200"]
    schema = told["content"]["application/json"]["schema"]
    assert errors_of(schema, as_viewer.get(f"/v4/experiments/a000/{address}").json()) == []
    assert errors_of(schema, {}) != []
