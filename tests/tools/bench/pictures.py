"""How soon the pictures of an experiment are drawn, how smoothly they move, and how much is sent for them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.waiting import PATIENCE
from tests.tools.bench import page
from tests.tools.bench.filled import Filled, filled
from tests.tools.bench.judgement import Verdict, at_least, at_most, table
from tests.tools.bench.page import Section

SIZES = (10_000, 100_000)
MOST_SECONDS = {10_000: 1.0, 100_000: 3.0}
LEAST_FRAMES = 30
MOST_KILOBYTES = {10_000: 300, 100_000: 2_000}
MOVE_SECONDS = 3
VIEW: Any = {"width": 1440, "height": 900}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
PICTURES = {"grid": "grid/", "graph of all jobs": "graph/?view=jobs", "timeline": "timeline/"}
# Drags the picture to and fro, a step for each frame, and returns how many frames a second there were.
MOVE = """
seconds => new Promise((resolve) => {
    const canvas = document.querySelector("canvas"), { left, top } = canvas.getBoundingClientRect();
    const send = (name, x, y) => canvas.dispatchEvent(new PointerEvent(name, {
        pointerId: 1, clientX: left + x, clientY: top + y, button: 0, buttons: 1, bubbles: true,
    }));
    const began = performance.now();
    let frames = 0;
    send("pointerdown", 700, 300);
    const step = () => {
        const passed = (performance.now() - began) / 1000;
        if (passed >= seconds) return resolve(frames / passed);
        frames += 1;
        send("pointermove", 700 - (frames % 90) * 3, 300 - (frames % 60) * 2);
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
})
"""
FIRST = "performance.getEntriesByName('portal:picture')[0].startTime / 1000"
SENT = """
[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .reduce((sum, entry) => sum + entry.transferSize, 0) / 1000
"""
TEXT = """{context}

{figures}

Chromium without a GPU and without a cache, signed in, on the same machine as the server; each picture is made for it.
**First picture**: from the request of the page to the first complete drawing. **Frames**: while the picture is
dragged for {seconds} s, zoomed in once (far) and thrice (near); as a whole it does not move. **Sent**: page, scripts,
styles and data, compressed.
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was seen of one picture: seconds, frames a second (far, near), kB."""

    seconds: float
    frames: tuple[float, float]
    kilobytes: float


def run(folder: Path, program: Path, *, sizes: tuple[int, ...] = SIZES) -> Section:
    """Measure each picture on SQLite; `program` is the real Autosubmit."""
    context, verdicts = page.context(), list[Verdict]()
    fill = "tests.tools.bench.fill_pictures"
    with filled(folder, program, fill, *sizes, databases=("SQLite",)) as (one,), browser() as chromium:
        for size in sizes:
            for title, path in PICTURES.items():
                drawn = look(chromium, one, f"/experiments/~{one.facts['experiments'][str(size)]}/{path}")
                verdicts += judge(title, size, drawn)
                print(f"{title}, {size:,} jobs: {drawn}", flush=True)
    text = TEXT.format(context=context, figures=table("pictures", verdicts), seconds=MOVE_SECONDS)
    return Section("Pictures", text)


def judge(picture: str, size: int, drawn: Drawn) -> list[Verdict]:
    """Compare what was seen of a picture with the targets."""
    return [
        at_most(f"{size:,} jobs: first picture, s", picture, MOST_SECONDS.get(size, 1.0), drawn.seconds),
        at_least(f"{size:,} jobs: frames a second, far", picture, LEAST_FRAMES, drawn.frames[0]),
        at_least(f"{size:,} jobs: frames a second, near", picture, LEAST_FRAMES, drawn.frames[1]),
        at_most(f"{size:,} jobs: sent, kB", picture, MOST_KILOBYTES.get(size, 300), drawn.kilobytes),
    ]


@contextmanager
def browser() -> Iterator[Browser]:
    """Give the Chromium of the system."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or shutil.which("chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield launched
        launched.close()


def look(chromium: Browser, one: Filled, path: str) -> Drawn:
    """Open a picture in a new window and move it."""
    context = chromium.new_context(base_url=one.portal.url, viewport=VIEW)
    context.add_cookies([{"name": "sessionid", "value": one.facts["session"], "url": one.portal.url}])
    context.set_default_timeout(1000 * PATIENCE)
    tab = context.new_page()
    tab.goto(path)
    tab.wait_for_selector("canvas[data-jobs]")
    seconds, sent = tab.evaluate(FIRST), tab.evaluate(SENT)
    frames = move_near(tab, 1), move_near(tab, 2)
    context.close()
    return Drawn(seconds, frames, sent)


def move_near(tab: Page, times: int) -> float:
    """Zoom in so many times; return the frames a second while the picture is dragged."""
    for _ in range(times):
        tab.get_by_role("button", name="Zoom in").click()
    frames: float = tab.evaluate(MOVE, MOVE_SECONDS)
    return frames
