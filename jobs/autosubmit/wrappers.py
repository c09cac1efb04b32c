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

from autosubmit_portal.sentences import say
from jobs.autosubmit.database import Source, UnreadableDatabase, read_rows_of_tables
from jobs.autosubmit.job_list import UnreadableJobList
from jobs.autosubmit.job_record import JobRecord
from jobs.autosubmit.values import LARGEST_ID, to_number, to_text

# The older table first: its rows have no package id.
_SENT = ("job_package", "wrappers_jobs")
_PLANNED = ("wrapper_job_package", "preview_wrappers_jobs")
_COLUMNS = ("package_id", "package_name", "job_name")


def read_wrappers(source: Source) -> dict[str, str]:
    """Return the name of the wrapper that each job was last in, by the name of the job; none if there are none.

    The last one is that of the highest package id, as for Autosubmit itself; before 4.1.17 the one written last.
    Raises UnreadableJobList when the database is broken, or locked for long.
    """
    try:
        found = read_rows_of_tables(source, [*_SENT, *_PLANNED], _COLUMNS)
    except FileNotFoundError:
        return {}
    except (UnreadableDatabase, OSError) as error:
        raise UnreadableJobList(
            say("The wrappers in {source} cannot be read: {error}.", source=source, error=error)
        ) from error
    return _find_last(found, _SENT) or _find_last(found, _PLANNED)


def add_wrappers(jobs: Iterable[JobRecord], wrappers: Mapping[str, str]) -> list[JobRecord]:
    """Return the jobs with the names of their wrappers, as `read_wrappers` returns them."""
    return [replace(job, wrapper=wrappers[job.name]) if job.name in wrappers else job for job in jobs]


def _find_last(found: Mapping[str, list[dict[str, Any]]], names: Iterable[str]) -> dict[str, str]:
    rows = sorted((row for name in names for row in found.get(name, ())), key=_get_package_id)
    named = ((to_text(row.get("job_name")), to_text(row.get("package_name")).strip()) for row in rows)
    return {job: wrapper for job, wrapper in named if wrapper}


def _get_package_id(row: Mapping[str, Any]) -> int:
    return to_number(row.get("package_id"), LARGEST_ID)
