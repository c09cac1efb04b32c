"""`make back-test`: replay recorded histories and print how far forecasts of the end were off.

Each run of each history that is long enough is looked at when a quarter, half and three quarters of its time had gone,
with nothing but what had happened until then.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from experiments.autosubmit.plain_data import BadData, parse_json
from experiments.autosubmit.plans import extract_limits, extract_plans
from experiments.forecast.facts import ForecastFacts, ForecastJob, Limit
from experiments.forecast.forecast import MOST_REMEMBERED, make_forecast
from experiments.forecast.wallclock import find_told_wallclock
from jobs.autosubmit.database import read_rows
from jobs.autosubmit.history import read_run_configuration

SHARES = (0.25, 0.5, 0.75)
LEAST_JOBS, LEAST_SECONDS = 4, 60
# Nobody foresees that a run is stopped, or that somebody holds back a member.
MOST_IDLE = 0.1
COLUMNS = (
    *("job_name", "section", "platform", "status", "submit", "start", "finish", "wallclock"),
    *("children", "run_id", "ncpus"),
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """A forecast that was made when `share` of the time of a run had gone. `idle` is the share without any job.

    `error` is how much later it ended than was expected, as a share of the whole time; None where nothing was expected.
    """

    run: str
    jobs: int
    seconds: float
    idle: float
    share: float
    error: float | None
    is_within: bool


def main() -> None:
    """Print the errors for the stores that the command line names, as a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stores", nargs="+", type=Path, help="folders with metadata/data/job_data_*.db")
    looks = [look for store in parser.parse_args().stores for look in replay_store(store)]
    print(*tell(looks), sep="\n")


def replay_store(store: Path) -> Iterator[Look]:
    """Yield the looks at all runs of the histories of a store."""
    for database in sorted(store.glob("metadata/data/job_data_*.db")):
        expid = database.stem.removeprefix("job_data_")
        rows = read_rows(database, "job_data", COLUMNS, "ORDER BY id")
        remembered: dict[str, Sequence[float]] = {}
        for run_id in sorted({row["run_id"] for row in rows if row["run_id"]}):
            configuration = _read_configuration(database, run_id)
            attempts = choose_attempts(rows, run_id, extract_plans(configuration))
            yield from replay_run(f"{expid}, run {run_id}", attempts, configuration, remembered)
            remembered |= learn_from(attempts)


def _read_configuration(database: Path, run_id: int) -> dict[str, Any]:
    try:
        return parse_json(read_run_configuration(database, run_id) or "{}")
    except BadData:
        return {}


def choose_attempts(rows: Iterable[Row], run_id: int, sections: Iterable[str]) -> list[Row]:
    """Return the attempts of a run at the jobs that it completed: those are its workflow."""
    attempts = [row for row in rows if row["run_id"] == run_id and row["submit"] > 0]
    done = {row["job_name"] for row in attempts if row["status"] == "COMPLETED" and row["finish"] >= row["start"] > 0}
    by_length = sorted(sections, key=len)
    return [_name_section(row, by_length) for row in attempts if row["job_name"] in done]


def _name_section(row: Row, sections: Iterable[str]) -> Row:
    """Return a row with the section of its job: Autosubmit 3.13 wrote the member into that column."""
    named = [section for section in sections if row["job_name"].upper().endswith(f"_{section}")]
    return row | {"section": named[-1]} if named else row


def learn_from(attempts: Iterable[Row]) -> dict[str, Sequence[float]]:
    """Return what the portal remembers of a run: how long the jobs of each section took."""
    found: dict[str, list[float]] = {}
    for row in sorted(attempts, key=lambda row: float(row["finish"]), reverse=True):
        if row["status"] == "COMPLETED":
            found.setdefault(row["section"], []).append(row["finish"] - row["start"])
    return {section: seconds[:MOST_REMEMBERED] for section, seconds in found.items()}


def replay_run(
    name: str, attempts: Sequence[Row], configuration: dict[str, Any], remembered: dict[str, Sequence[float]]
) -> Iterator[Look]:
    """Yield the looks at a run; none of one that is too short, or of which no edges are known."""
    jobs = {row["job_name"] for row in attempts}
    if len(jobs) < LEAST_JOBS or not any(row["children"] for row in attempts):
        return
    began, ended = min(row["submit"] for row in attempts), max(row["finish"] for row in attempts)
    if ended - began < LEAST_SECONDS:
        return
    idle = measure_idle(attempts) / (ended - began)
    for share in SHARES:
        now = began + share * (ended - began)
        forecast = make_forecast(make_facts(attempts, now, configuration, remembered))
        error, is_within = None, False
        if forecast.ends_at and forecast.earliest_at and forecast.latest_at:
            error = (ended - forecast.ends_at.timestamp()) / (ended - began)
            is_within = forecast.earliest_at.timestamp() <= ended <= forecast.latest_at.timestamp()
        yield Look(name, len(jobs), ended - began, idle, share, error, is_within)


def measure_idle(attempts: Iterable[Row]) -> float:
    """Return the seconds between the first submission and the last end in which no job was on a platform."""
    idle, busy_until = 0.0, None
    for row in sorted(attempts, key=lambda row: float(row["submit"])):
        if busy_until is not None:
            idle += max(0.0, row["submit"] - busy_until)
        busy_until = max(busy_until or 0.0, row["finish"] or row["submit"])
    return idle


def make_facts(
    attempts: Iterable[Row], now: float, configuration: dict[str, Any], remembered: dict[str, Sequence[float]]
) -> ForecastFacts:
    """Return what was known of a run at an instant."""
    newest: dict[str, Row] = {}
    failures: dict[str, int] = {}
    for row in attempts:
        known = newest.setdefault(row["job_name"], row)
        if row["submit"] <= now:
            failures[row["job_name"]] = failures.get(row["job_name"], -1) + 1
            newest[row["job_name"]] = row if known["submit"] <= row["submit"] else known
    places = {name: place for place, name in enumerate(newest)}
    plans = extract_plans(configuration)
    jobs = [_make_job(row, now, max(0, failures.get(name, 0)), plans) for name, row in newest.items()]
    limits = extract_limits(configuration).items()
    return ForecastFacts(
        now=now,
        is_running=True,
        total=len(jobs),
        jobs=jobs,
        edges=sorted(_find_edges(newest, places)),
        limits={platform: Limit(limit.get("total"), limit.get("waiting")) for platform, limit in limits},
        began_at=min(row["submit"] for row in newest.values()),
        remembered=remembered,
    )


def _find_edges(newest: dict[str, Row], places: dict[str, int]) -> set[tuple[int, int]]:
    children = ((name, child) for name, row in newest.items() for child in (row["children"] or "").split(","))
    return {(places[name], places[child]) for name, child in children if child in places}


def _make_job(row: Row, now: float, failures: int, plans: dict[str, dict[str, str]]) -> ForecastJob:
    plan = plans.get(row["section"].upper(), {})
    platform = (row["platform"] or plan.get("platform", "")).upper()
    wallclock = find_told_wallclock(row["wallclock"] or plan.get("wallclock", ""), str(row["ncpus"]))
    unsent = ForecastJob(row["job_name"], "WAITING", row["section"], platform, wallclock=wallclock)
    if row["submit"] > now:
        return unsent
    sent = unsent._replace(status="QUEUING", submitted_at=row["submit"], failures=failures)
    if not 0 < row["start"] <= now:
        return sent
    if row["finish"] > now:
        return sent._replace(status="RUNNING", started_at=row["start"])
    if row["status"] != "COMPLETED":
        return unsent  # it is tried again
    return sent._replace(status="COMPLETED", started_at=row["start"], finished_at=row["finish"])


def tell(looks: Sequence[Look]) -> Iterator[str]:
    """Yield the lines of a table, and what they come to."""
    yield "| run | jobs | took | without a job | at 25 % | at 50 % | at 75 % |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for run in dict.fromkeys(look.run for look in looks):
        of_run = [look for look in looks if look.run == run]
        first, cells = of_run[0], " | ".join(_tell_error(look) for look in of_run)
        yield f"| {run} | {first.jobs} | {first.seconds / 3600:.2f} h | {first.idle:.0%} | {cells} |"
    yield ""
    yield from _sum_up("All", looks)
    yield from _sum_up("With jobs nearly all the time", [look for look in looks if look.idle <= MOST_IDLE])


def _sum_up(title: str, looks: Sequence[Look]) -> Iterator[str]:
    for share in SHARES:
        at = [look for look in looks if look.share == share]
        errors = [abs(look.error) for look in at if look.error is not None]
        within = sum(look.is_within for look in at)
        middle = f"{median(errors):.0%}" if errors else "none"
        yield f"{title}, at {share:.0%}: middle error {middle}, {within} of {len(at)} ends within the range."


def _tell_error(look: Look) -> str:
    if look.error is None:
        return "none"
    return f"{look.error:+.0%}{'' if look.is_within else ' (outside)'}"


if __name__ == "__main__":
    main()
