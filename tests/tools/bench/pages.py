"""How soon pages of the console are usable, and what tabs cost that stay open while nothing changes."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.waiting import PATIENCE
from tests.tools.bench import page
from tests.tools.bench.filled import Filled, filled
from tests.tools.bench.judgement import Verdict, at_most, table, untargeted
from tests.tools.bench.page import Section
from tests.tools.bench.pictures import SENT, VIEW, browser
from tests.tools.bench.usage import Usage

EXPERIMENTS, JOBS, TABS = 1_000, 10_000, 20
ROUNDS = 5
# Tabs ask less often when nothing has changed for long. A part lasts for so long, then each tab gets it anew.
SECONDS, SETTLE_SECONDS = 300.0, 90.0
MOST_SECONDS, MOST_KILOBYTES, MOST_PERCENT = 0.5, 2.0, 1.0
# From the request until all scripts have run and something is drawn.
USABLE = """
Math.max(performance.getEntriesByType('navigation')[0].loadEventEnd,
    performance.getEntriesByName('first-contentful-paint')[0].startTime) / 1000
"""
IS_USABLE = """
performance.getEntriesByType('navigation')[0].loadEventEnd &&
    performance.getEntriesByName('first-contentful-paint').length
"""
TEXT = """{context}

{pages}

{tabs}

- {experiments:,} experiments; the one that is looked at runs and has {jobs:,} jobs. Chromium as for the pictures,
  without a cache; medians of {rounds}. **Usable**: from the request of the page until all scripts have run and it is
  drawn. **Sent**: page, scripts and styles, compressed.
- **Open tabs**: {count} of one person, on the experiment, over {seconds:g} s in which nothing changes, as in the
  {settle:g} s before. Bytes are those of the answers with their heads, and of one tab. The processor is that of the
  web processes.
"""


def run(
    folder: Path, program: Path, *, experiments: int = EXPERIMENTS, jobs: int = JOBS, seconds: float = SECONDS
) -> Section:
    """Measure on SQLite; `program` is the real Autosubmit."""
    context = page.context()
    fill = "tests.tools.bench.fill_pages"
    with filled(folder, program, fill, experiments, jobs, databases=("SQLite",)) as (one,), browser() as chromium:
        pages = [verdict for title, path in _list_pages(one) for verdict in _look(chromium, one, title, path)]
        tabs = _watch_tabs(chromium, one, seconds)
    text = TEXT.format(
        context=context,
        pages=table("pages", pages),
        tabs=table("open tabs", tabs),
        experiments=experiments,
        jobs=jobs,
        rounds=ROUNDS,
        count=TABS,
        seconds=seconds,
        settle=SETTLE_SECONDS,
    )
    return Section("Pages", text)


def _list_pages(one: Filled) -> list[tuple[str, str]]:
    experiment = f"/experiments/~{one.facts['pk']}/"
    return [
        ("Now", "/"),
        ("experiments", "/experiments/"),
        ("experiment", experiment),
        ("its jobs", f"{experiment}jobs/"),
        ("jobs", "/jobs/"),
    ]


def _look(chromium: Browser, one: Filled, title: str, path: str) -> Iterator[Verdict]:
    looks = [_look_once(chromium, one, path) for _ in range(ROUNDS)]
    seconds, kilobytes = (statistics.median(figures) for figures in zip(*looks, strict=True))
    yield at_most("usable, s", title, MOST_SECONDS, seconds)
    yield untargeted("sent, kB", title, kilobytes)


def _look_once(chromium: Browser, one: Filled, path: str) -> tuple[float, float]:
    with _sign_in(chromium, one) as context:
        tab = _open(context, path)
        return tab.evaluate(USABLE), tab.evaluate(SENT)


@contextmanager
def _sign_in(chromium: Browser, one: Filled) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=one.portal.url, viewport=VIEW)
    context.add_cookies([{"name": "sessionid", "value": one.facts["session"], "url": one.portal.url}])
    context.set_default_timeout(1000 * PATIENCE)
    yield context
    context.close()


def _open(context: BrowserContext, path: str) -> Page:
    tab = context.new_page()
    answer = tab.goto(path)
    assert answer
    assert answer.ok, f"{path}: {answer.status}"
    while not tab.evaluate(IS_USABLE):
        time.sleep(0.01)
    return tab


def _watch_tabs(chromium: Browser, one: Filled, seconds: float) -> list[Verdict]:
    """Keep tabs open for some seconds, and count what comes."""
    sizes: list[float] = []

    def note(event: Any) -> None:
        sizes.append(event["encodedDataLength"])

    with _sign_in(chromium, one) as context:
        tabs = [_open(context, f"/experiments/~{one.facts['pk']}/") for _ in range(TABS)]
        tabs[0].wait_for_timeout(1000 * SETTLE_SECONDS)
        for tab in tabs:
            session = context.new_cdp_session(tab)
            session.on("Network.loadingFinished", note)
            session.send("Network.enable")
        with Usage({"web": one.portal.processes["web"].pid}) as usage:
            tabs[0].wait_for_timeout(1000 * seconds)
    column = f"{TABS} tabs"
    return [
        at_most("kB/s for each", column, MOST_KILOBYTES, sum(sizes) / 1000 / seconds / TABS),
        at_most("% of a core", column, MOST_PERCENT, 100 * usage.cores["web"]),
        untargeted("answers a second", column, len(sizes) / seconds),
    ]
