"""What the jobs of each section are to be sent with, how many at a time, and how long a run sleeps.

Only what Autosubmit 4.1.17 takes from there without knowing the job is told (`Job.update_parameters`): a value with a
reference that is resolved for each job, a list of parts, or a wallclock that grows with the chunks is left out.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.autosubmit.confined import TooLong, read_inside
from experiments.autosubmit.plain_data import BadData, parse_json, parse_yaml
from experiments.autosubmit.store import Store
from jobs.autosubmit.history import RunRecord, UnreadableHistory, read_run_configuration
from jobs.autosubmit.logs.safe_open import LeadsOutside
from jobs.autosubmit.statuses import NOT_SENT
from jobs.autosubmit.values import to_text

RESOLVED = Path("conf/metadata/experiment_data.yml")
"""Where Autosubmit 4 keeps the configuration as it resolved it last."""

MAX_BYTES = 1024 * 1024

MOST_SECTIONS = 1000
LONGEST_SECTION = 100
LONGEST_VALUE = 50
PLANNED = ("platform", "processors", "wallclock", "qos")
"""The fields of a job that are planned, by our names."""

Plans = dict[str, dict[str, str]]
"""By the name of a section, in upper case, what its jobs are to be sent with."""


USUAL_SLEEP_SECONDS, LONGEST_SLEEP_SECONDS = 10, 366 * 86_400
"""What Autosubmit takes without a SAFETYSLEEPTIME (4.1.17), and the longest that is believed."""

Limits = dict[str, dict[str, int]]
"""By the name of a platform, in upper case, how many jobs Autosubmit has there at most: in `total`, and `waiting`.

Blank is the name of all platforms without limits of their own.
"""

LIMITED = {"total": ("TOTALJOBS", "TOTAL_JOBS"), "waiting": ("MAXWAITINGJOBS", "MAX_WAITING_JOBS")}
MOST_PLATFORMS, HIGHEST_LIMIT = 200, 1_000_000

# A mark of what is read: what was read of the same file before was less.
_EDITION = 3


@dataclass(frozen=True, slots=True)
class ReadPlans:
    """The plans, and a mark of what they were read from: they are the same as long as that is.

    `sleep_seconds` is the SAFETYSLEEPTIME of a run; None where no configuration tells it.
    """

    plans: Plans
    source: str
    sleep_seconds: int | None = None
    limits: Limits = field(default_factory=dict)


def read_plans(store: Store, expid: str, runs: Sequence[RunRecord], known: str) -> ReadPlans | None:
    """Return the plans of an experiment by the configuration of its newest run, else by its file.

    None if they are still those of the source `known`. A configuration that cannot be read plans nothing: its own page
    says why.
    """
    run_id = max((run.run_id for run in runs), default=0)
    folder = store.experiment_folder(expid)
    source = f"{_EDITION}: run {run_id}, file {_get_change_time(folder / RESOLVED)}"
    if source == known:
        return None
    try:
        kept = read_run_configuration(store.history_database(expid), run_id) if run_id else ""
        configuration = parse_json(kept) if kept else _read_file(folder)
    except (UnreadableHistory, BadData, TooLong, LeadsOutside, OSError, UnicodeDecodeError):
        configuration = {}
    return ReadPlans(extract_plans(configuration), source, extract_sleep(configuration), extract_limits(configuration))


def _get_change_time(path: Path) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def _read_file(folder: Path) -> dict[str, Any]:
    return parse_yaml(read_inside(folder, RESOLVED, MAX_BYTES).decode("utf-8-sig"))


def add_plan(
    status: str, section: str | None, values: Mapping[str, str | None], plans: Plans
) -> tuple[dict[str, str | None], list[str]]:
    """Return what a job is, or is to be, sent with, and which of it is planned: all of it while it is not sent."""
    if status not in NOT_SENT:
        return dict(values), []
    plan = plans.get((section or "").upper(), {})
    filled = {name: value or plan.get(name) for name, value in values.items()}
    return filled, [name for name, value in filled.items() if value]


def extract_plans(configuration: Mapping[str, Any]) -> Plans:
    """Return the plans of the sections of a configuration as Autosubmit resolved it; none of what has another form."""
    configuration = convert_to_4(configuration)
    sections = _get_mapping(configuration.get("JOBS"))
    names = [*sections][:MOST_SECTIONS]
    found = (
        (to_text(name, LONGEST_SECTION).upper(), _plan_job(_get_mapping(sections[name]), configuration))
        for name in names
    )
    return {name: plan for name, plan in found if plan}


def extract_sleep(configuration: Mapping[str, Any]) -> int | None:
    """Return the SAFETYSLEEPTIME of a configuration of Autosubmit 4; None if it has another form."""
    settings = configuration.get("CONFIG")
    if not isinstance(settings, dict):
        return None
    told = to_text(settings.get("SAFETYSLEEPTIME", USUAL_SLEEP_SECONDS), 20).strip()
    return min(int(told), LONGEST_SLEEP_SECONDS) if told.isascii() and told.isdecimal() else None


def extract_limits(configuration: Mapping[str, Any]) -> Limits:
    """Return how many jobs a run has on its platforms at most; none of what has another form."""
    general = _get_mapping(configuration.get("CONFIG") or _get_mapping(configuration.get("conf")).get("config"))
    platforms = _get_mapping(configuration.get("PLATFORMS") or configuration.get("platforms"))
    names = [*platforms][:MOST_PLATFORMS]
    own = {to_text(name, LONGEST_SECTION).upper(): {**general, **_get_mapping(platforms[name])} for name in names}
    limits = {name: _extract_limit(settings) for name, settings in {"": general, **own}.items()}
    return {name: limit for name, limit in limits.items() if limit and (not name or limit != limits[""])}


def _extract_limit(settings: Mapping[str, Any]) -> dict[str, int]:
    # What a platform says itself comes after the general settings, under either name.
    found = {name: [settings[key] for key in keys if key in settings] for name, keys in LIMITED.items()}
    told = {name: to_text(values[-1], 20).strip() for name, values in found.items() if values}
    return {
        name: min(int(text), HIGHEST_LIMIT)
        for name, text in told.items()
        if text.isascii() and text.isdecimal() and int(text) > 0
    }


def convert_to_4(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration under the names of Autosubmit 4; 3.x and 4.0 keep the parts of their files.

    There `HPCARCH` stands in `[DEFAULT]`, and so in each section.
    """
    if "JOBS" in configuration:
        return configuration
    sections = map(_get_mapping, _get_mapping(configuration.get("exp")).values())
    default = next((section for section in sections if "HPCARCH" in section), {})
    jobs, platforms = configuration.get("jobs"), configuration.get("platforms")
    return {"JOBS": jobs, "PLATFORMS": platforms, "DEFAULT": default}


def _plan_job(job: Mapping[str, Any], configuration: Mapping[str, Any]) -> dict[str, str]:
    default = _get_mapping(configuration.get("DEFAULT"))
    platforms = _get_mapping(configuration.get("PLATFORMS"))
    name = _keep_plain(job.get("PLATFORM") or default.get("HPCARCH"))
    name = name if name in platforms else name.upper()
    platform = _get_mapping(platforms.get(name))
    processors = _get_first(job, platform, "PROCESSORS") or "1"
    plan = {
        "platform": name,
        "processors": _keep_plain(processors),
        "wallclock": _get_wallclock(job, platform, configuration),
        "qos": _keep_plain(_get_first(job, platform, "QUEUE") or _get_serial_queue(platform, processors)),
    }
    return {field: value for field, value in plan.items() if value}


def _get_wallclock(job: Mapping[str, Any], platform: Mapping[str, Any], configuration: Mapping[str, Any]) -> str:
    if job.get("WCHUNKINC"):
        return ""
    limit = platform.get("MAX_WALLCLOCK") or _get_mapping(configuration.get("CONFIG")).get("JOB_WALLCLOCK")
    return _keep_plain(_get_first(job, platform, "WALLCLOCK") or limit)


def _get_serial_queue(platform: Mapping[str, Any], processors: object) -> object:
    return platform.get("SERIAL_QUEUE") if to_text(processors) == "1" else None


def _get_first(job: Mapping[str, Any], platform: Mapping[str, Any], key: str) -> object:
    return job.get(key) or platform.get(key)


def _keep_plain(value: object) -> str:
    """Return a text or a number as text; nothing for one that is not plain, or too long to be true."""
    plain = to_text(value, LONGEST_VALUE + 1)
    return "" if "%" in plain or len(plain) > LONGEST_VALUE else plain


def _get_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
