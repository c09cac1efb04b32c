"""Which jobs Autosubmit sent to a platform together: the wrappers.

| Autosubmit | where | tables |
| --- | --- | --- |
| 3.x to 4.1 | `pkl/job_packages_<expid>.db` | `job_package`; planned: `wrapper_job_package` |
| 4.1.17 | the same | `wrappers_jobs`; planned: `preview_wrappers_jobs` |
| 4.2 | `db/job_list.db` | the same as 4.1.17 |
| 4.1.17, 4.2 with PostgreSQL | the schema of the experiment | the same |

Planned wrappers are what `create` and `inspect` would make (`--check_wrapper`); they count while there are no others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from jobs.autosubmit.database import Source, UnreadableDatabase, rows, tables
from jobs.autosubmit.job_list import JobRecord, UnreadableJobList
from jobs.autosubmit.values import LARGEST_ID, number, text

_SENT = ("wrappers_jobs", "job_package")
_PLANNED = ("preview_wrappers_jobs", "wrapper_job_package")
_COLUMNS = ("package_id", "package_name", "job_name")


def read_wrappers(source: Source) -> dict[str, str]:
    """Return the name of the wrapper that each job was last in, by the name of the job; none if there are none.

    The last one is that of the highest package id, as for Autosubmit itself; before 4.1.17 the one written last.
    Raises UnreadableJobList when the database is broken, or locked for long.
    """
    try:
        found = tables(source)
        return _read(source, found.intersection(_SENT)) or _read(source, found.intersection(_PLANNED))
    except FileNotFoundError:
        return {}
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableJobList(f"The wrappers in {source} cannot be read: {error}.") from error


def wrapped(jobs: Iterable[JobRecord], wrappers: Mapping[str, str]) -> list[JobRecord]:
    """Return the jobs with the names of their wrappers, as `read_wrappers` returns them."""
    return [replace(job, wrapper=wrappers[job.name]) if job.name in wrappers else job for job in jobs]


def _read(source: Source, names: set[str]) -> dict[str, str]:
    found = [row for name in sorted(names) for row in rows(source, name, _COLUMNS)]
    found.sort(key=_package_id)
    named = ((text(row.get("job_name")), text(row.get("package_name")).strip()) for row in found)
    return {job: wrapper for job, wrapper in named if wrapper}


def _package_id(row: Mapping[str, Any]) -> int:
    return number(row.get("package_id"), LARGEST_ID)
