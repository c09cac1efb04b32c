"""The jobs of an experiment as the store has them: compared as they stand there, and made into records to be told."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.memory import Told
from autosubmit_portal.agent.readers.place import Place
from experiments.autosubmit import forms
from experiments.autosubmit.store import Fingerprint, are_edges_same
from jobs.autosubmit.database import Source
from jobs.autosubmit.edges import Edge
from jobs.autosubmit.history import TIMES_COLUMNS, make_times, read_newest_rows
from jobs.autosubmit.job_list import JobRows, find_name, make_job, read_dependencies, read_job_rows
from jobs.autosubmit.job_record import COLUMNS
from jobs.autosubmit.pickles.formats import Row
from jobs.autosubmit.wrappers import read_wrappers

_DIGEST_BYTES = 12
# What the portal refuses in JSON: NUL and half of a character, which can only be escaped, and numbers that are none.
_STRANGE = re.compile(rb"\\u|NaN|Infinity")
_LONGEST_PLAIN = 20_000
# What is read otherwise by another version is not the same.
_FORM = repr((COLUMNS, TIMES_COLUMNS)).encode()


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the store says of each job, by its name; `edges` are those that the list has itself."""

    source: Source
    rows: Mapping[str, Row]
    edges: list[Edge]
    times: Mapping[str, tuple[Any, ...]]
    wrappers: Mapping[str, str]

    def make_digests(self) -> dict[str, str]:
        """Return what changes with all that is told of a job, by its name."""
        return {name: self._make_digest(name, row) for name, row in self.rows.items()}

    def tell(self, name: str) -> bytes:
        """Return the line that tells of a job: as it stands in the store, if there is nothing in it to be cleaned."""
        row, times, wrapper = self.rows[name], self.times.get(name), self.wrappers.get(name, "")
        line = b"%b\n" % _dump(([*row, wrapper], times))
        if len(line) <= _LONGEST_PLAIN and not _STRANGE.search(line):
            return line
        cleaned = replace(make_job(row, self.source), wrapper=wrapper)
        return forms.tell_line([forms.tell_job(cleaned), forms.tell_times(make_times(times)) if times else None])

    def _make_digest(self, name: str, row: Row) -> str:
        told = repr((row, self.times.get(name), self.wrappers.get(name))).encode("utf-8", "replace")
        return blake2b(told, digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Changes:
    """What must be told so that the portal has what is in the store: all, or what differs from what it has."""

    base: str
    names: list[str]
    removed: list[str]

    def describe(self) -> Message:
        """Return the part of the head that says so."""
        return {"base": self.base, "jobs": len(self.names), "removed": self.removed}


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges, None where the portal has them, and what changes with them and with the names of the jobs."""

    between: list[Edge] | None
    mark: str
    has_any: bool

    def describe(self) -> Message:
        """Return the part of the head that says so."""
        count = None if self.between is None else len(self.between)
        return {"edges": count, "edges_mark": self.mark, "has_edges": self.has_any}


def read_jobs(place: Place) -> Jobs:
    """Read the job list, the newest attempts and the wrappers."""
    store, expid = place.store, place.expid
    source = store.job_list(expid)
    try:
        found = read_job_rows(source, place.means.decode)
    except FileNotFoundError:  # not generated yet
        found = JobRows([], [])
    rows = {find_name(row, source): row for row in found.jobs}
    times = read_newest_rows(store.history_database(expid))
    return Jobs(source, rows, found.edges, times, read_wrappers(store.wrapper_database(expid)))


def compare(digests: Mapping[str, str], before: Told | None) -> Changes:
    """Find what is new since what was told before; with more that is gone than one tells, all is told."""
    if before is not None:
        removed = [name for name in before.jobs if name not in digests]
        if len(removed) <= forms.MOST_REMOVED:
            changed = [name for name, digest in digests.items() if before.jobs.get(name) != digest]
            return Changes(before.revision, changed, removed)
    return Changes("", [*digests], [])


def find_edges(place: Place, jobs: Jobs, files: Fingerprint, before: Told | None, known: str) -> Edges:
    """Find the edges, and read them only if they may be others than those of the mark that is known."""
    if before and before.edges_mark == known and _are_same(jobs, files, before):
        return Edges(None, known, before.has_edges)
    between = jobs.edges or read_dependencies(place.store.structure_database(place.expid))
    names = "\n".join(jobs.rows).encode()
    mark = _digest([names, b"" if between is None else b"\n\n", *map(forms.tell_line, between or ())])
    return Edges(None if mark == known else between or [], mark, between is not None)


def make_revision(digests: Mapping[str, str]) -> str:
    """Return what changes with any job."""
    return _digest([_FORM, "".join(digests.values()).encode()])


def _are_same(jobs: Jobs, files: Fingerprint, before: Told) -> bool:
    return not jobs.edges and are_edges_same(before.files, files) and [*before.jobs] == [*jobs.rows]


def _dump(value: object) -> bytes:
    """Return JSON; a value of another kind than it has is none that Autosubmit writes."""
    return json.dumps(value, default=lambda _: "", separators=(",", ":")).encode()


def _digest(lines: Iterable[bytes]) -> str:
    digest = blake2b(digest_size=16)
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
