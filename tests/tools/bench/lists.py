"""How long pages of lists take where there are a million jobs."""

import statistics
import time
import urllib.request
from pathlib import Path

from tests.tools.bench import page
from tests.tools.bench.filled import Filled, filled
from tests.tools.bench.judgement import Verdict, at_most, figure, table
from tests.tools.bench.page import Section

EXPERIMENTS, JOBS = 100, 10_000
REPEATS = 9
MOST_SECONDS = 0.15
PAGES = {
    "all jobs": "/jobs/",
    "jobs of a status": "/jobs/?status=FAILED",
    "jobs of an experiment": "/experiments/~{pk}/jobs/",
    "jobs of an experiment and a status": "/experiments/~{pk}/jobs/?status=FAILED",
    "jobs of an experiment and a section": "/experiments/~{pk}/jobs/?section=SIM",
    "part of a name": "/jobs/?q={expid}_4711",
    "part of no name": "/jobs/?q=nowhere",
    "part of all names": "/jobs/?q=SIM",
    "experiments": "/experiments/",
    "experiments with failed jobs": "/experiments/?failed=yes",
    "page of an experiment": "/experiments/~{pk}/",
    "page of 50 experiments": "/v4/experiments?page_size=50",
    "page of 50 jobs": "/v4/experiments/{expid}/jobs?page_size=50",
    "page of 50 jobs of a status": "/v4/experiments/{expid}/jobs?page_size=50&status=FAILED",
    "page of 50 jobs by part of a name": "/v4/experiments/{expid}/jobs?page_size=50&job_name=4711",
}
TEXT = """{context}

{figures}

Medians of {repeats} requests of one client, with {jobs:,} jobs in {experiments:,} experiments. The last four rows
are pages of the API, the others of the console. No index serves these, so they take longer: one or two characters
of a name, all jobs ordered by another column, a text in the lists of actions and of the trail.
"""


def run(folder: Path, program: Path, *, experiments: int = EXPERIMENTS, jobs: int = JOBS) -> Section:
    """Measure each page on each database; `program` is the real Autosubmit."""
    context, verdicts = page.context(), list[Verdict]()
    with filled(folder, program, "tests.tools.bench.fill_lists", experiments, jobs) as portals:
        for one in portals:
            for title, path in PAGES.items():
                seconds = ask(one, path.format(**one.facts))
                verdicts.append(at_most(title, one.database, MOST_SECONDS, seconds))
                print(f"{one.database}, {title}: {figure(seconds)} s", flush=True)
    text = TEXT.format(
        context=context,
        figures=table("seconds", verdicts),
        repeats=REPEATS,
        experiments=experiments,
        jobs=experiments * jobs,
    )
    return Section("Lists", text)


def ask(one: Filled, path: str) -> float:
    """Return the seconds that half of the answers need at most; the first one, which fills caches, does not count."""
    seconds = []
    for _ in range(REPEATS + 1):
        request = urllib.request.Request(one.portal.url + path, headers={"Cookie": f"sessionid={one.facts['session']}"})
        began = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            answer.read()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])
