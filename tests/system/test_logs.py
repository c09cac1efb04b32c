"""Logs of the real Autosubmit and of a gigabyte, through the API and in a real Chromium."""

import os
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import sign_in
from tests.support.services import Portal, processes_with
from tests.support.waiting import PATIENCE, wait_for

GIGABYTE = 1_000_000_000
LINE = b"2026-11-25 22:14:44,381 [INFO] The simulation goes on and all is well with it\n"
FLAT_BYTES = 64 * 1024 * 1024

pytestmark = pytest.mark.parametrize("portal", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def expid(portal: Portal) -> str:
    """An experiment whose job BAD has failed, as the portal mirrors it."""
    made = portal.make_experiment("failing")
    portal.start_from_terminal(made).wait(PATIENCE)
    wait_for(lambda: job_of(portal, made)["status"] == "FAILED")
    return made


@pytest.fixture(scope="module")
def long_log(portal: Portal, expid: str) -> Path:
    """A finished log of a gigabyte with text at its beginning, around its middle and at its end, and holes between."""
    path = portal.autosubmit.home / "autosubmit" / expid / "tmp" / "ASLOGS" / "20261125_100000_long.log"
    with path.open("wb") as file:
        for place, said in ((0, b"begins"), (GIGABYTE // 2, b"in the middle"), (GIGABYTE, b"at the end")):
            file.seek(place)
            file.write(b"\n" + LINE * 2000 + b"An ERROR " + said + b"\n" + LINE * (2000 if place < GIGABYTE else 0))
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))
    return path


def job_of(portal: Portal, expid: str) -> Any:
    answer = portal.http.get(f"/v4/experiments/{expid}/jobs/{expid}_BAD")
    return answer.body if answer.status == 200 else {"status": ""}


def memory(portal: Portal) -> int:
    """Return the bytes that the web processes have in memory; those of the kernel's cache of files are not theirs."""
    found = 0
    for pid, command in processes_with("PORTAL_HOME", portal.home).items():
        if "gunicorn" in command:
            found += int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024  # type: ignore[index]
    return found


def open_log(page: Page, expid: str, name: str) -> None:
    """Follow the links to a log, and wait until the scripts of its page have run."""
    page.goto(f"/experiments/?q={expid}")
    page.get_by_role("link", name=expid, exact=True).first.click()
    page.get_by_role("link", name="Logs", exact=True).click()
    page.get_by_role("link", name=name).click()
    page.wait_for_url(f"**log={name}*")


def test_the_logs_of_a_real_run_are_read_through_the_api(portal: Portal, expid: str) -> None:
    job = f"/v4/experiments/{expid}/jobs/{expid}_BAD/logs"
    logs = portal.http.get(job).body["logs"]
    assert {log["kind"] for log in logs} == {"out", "err", "script"}
    (out,) = [log for log in logs if log["kind"] == "out"]
    assert "about to fail" in portal.http.get(out["url"], Accept="text/plain").body
    found = portal.http.get(f"{out['url']}?search=about").body
    assert found["matches"][0]["excerpt"] == "about to fail"
    kinds = {log["kind"] for log in portal.http.get(f"/v4/experiments/{expid}/logs").body["logs"]}
    assert {"create", "run", "run_err"} <= kinds


def downloaded(portal: Portal, address: str) -> tuple[int, int]:
    """Download a log; return the size that is said, and the most memory that the web processes had while much arrived.

    What has arrived then is several times what they may have: the rest would only take long.
    """
    headers = {"Authorization": f"Bearer {portal.credentials.token}"}
    arrived, most = 0, 0
    with urllib.request.urlopen(urllib.request.Request(portal.url + address, headers=headers)) as answer:
        while arrived < 4 * FLAT_BYTES:
            arrived += len(answer.read(16 * 1024 * 1024))
            most = max(most, memory(portal))
        return int(answer.headers["Content-Length"]), most


def searched(portal: Portal, address: str, text: str) -> list[int]:
    """Return the lines that a text is in, found by as many searches as it takes."""
    offset, line, lines = 0, 1, []
    while True:
        found = portal.http.get(f"{address}?search={text}&offset={offset}&line={line}").body
        lines += [match["line"] for match in found["matches"]]
        if found["is_complete"]:
            return lines
        offset, line = found["next_offset"], found["next_line"]


def test_a_gigabyte_is_read_and_searched_in_little_memory(portal: Portal, expid: str, long_log: Path) -> None:
    address = f"/v4/experiments/{expid}/logs/{long_log.name}"
    before = memory(portal)
    answer = portal.http.get(address, Accept="text/plain", Range="bytes=-20")
    assert (answer.status, answer.body) == (206, "An ERROR at the end\n")
    assert searched(portal, address, "ERROR") == [2002, 6004, 10_006]
    size, most = downloaded(portal, address)
    assert size == long_log.stat().st_size
    assert most - before < FLAT_BYTES


def test_a_gigabyte_opens_at_its_end_and_is_searched_in_the_browser(
    page: Page, portal: Portal, expid: str, long_log: Path
) -> None:
    before = memory(portal)
    open_log(page, expid, long_log.name)
    screen = page.get_by_role("log")
    expect(screen).to_contain_text("An ERROR at the end")
    page.get_by_label("Find in this log").fill("error")
    page.get_by_role("button", name="Next").click()
    expect(screen).to_contain_text("An ERROR begins")
    expect(screen.locator("mark")).to_be_in_viewport()
    page.get_by_role("button", name="Next").click()
    expect(screen).to_contain_text("An ERROR in the middle")
    expect(page.get_by_text("2 of", exact=False)).to_contain_text("line 6,004")
    page.get_by_role("button", name="Previous").click()
    expect(screen).to_contain_text("An ERROR begins")
    page.get_by_role("button", name="Previous").click()
    expect(screen).to_contain_text("An ERROR at the end")
    assert memory(portal) - before < FLAT_BYTES


def test_earlier_and_later_output_is_loaded_around_a_match(
    page: Page, portal: Portal, expid: str, long_log: Path
) -> None:
    open_log(page, expid, long_log.name)
    page.get_by_label("Find in this log").fill("in the middle")
    page.get_by_role("button", name="Next").click()
    screen = page.get_by_role("log")
    expect(screen.locator("mark")).to_have_text("in the middle")
    length = len(screen.text_content() or "")
    page.get_by_role("button", name="Show later output").click()
    page.wait_for_function("length => document.querySelector('pre[role=log]').textContent.length > length", arg=length)
    page.get_by_role("button", name="Show earlier output").click()
    page.wait_for_function(
        "length => document.querySelector('pre[role=log]').textContent.length > length + 100000", arg=length
    )
    page.get_by_role("button", name="Follow the end").click()
    expect(screen).to_contain_text("An ERROR at the end")
    expect(page.get_by_role("button", name="Show later output")).to_be_hidden()


def test_a_log_is_followed_while_it_is_written(page: Page, portal: Portal, expid: str) -> None:
    path = portal.autosubmit.home / "autosubmit" / expid / "tmp" / "ASLOGS" / "20261125_110000_now.log"
    path.write_bytes(b"first\n")
    open_log(page, expid, path.name)
    screen = page.get_by_role("log")
    expect(screen).to_have_text("first\n")
    with path.open("ab") as file:
        file.write(b"second\n")
    expect(screen).to_have_text("first\nsecond\n")
    path.rename(path.with_name("old.log"))
    path.write_bytes(b"another file\n")
    expect(screen).to_have_text("another file\n")


def test_the_logs_of_a_job_fit_a_phone_in_the_dark(open_page: Callable[..., Page], portal: Portal, expid: str) -> None:
    page = open_page(portal.url, viewport={"width": 375, "height": 800}, color_scheme="dark")
    sign_in(page, portal.credentials)
    page.goto(f"/jobs/?q={expid}_BAD")
    page.get_by_role("link", name=f"{expid}_BAD").click()
    expect(page.get_by_role("log")).to_contain_text("about to fail")
    page.get_by_role("link", name=re.compile(r"\.err$")).click()
    expect(page.get_by_role("log")).to_contain_text("+ echo about to fail")
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
