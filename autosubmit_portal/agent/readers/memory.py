"""What was told last of each experiment, so that only what has changed since need be told.

It is only a help: of what is not remembered all is told.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from autosubmit_portal.agent import files
from experiments.autosubmit.store import Fingerprint

MOST_BYTES = 256 * 1024 * 1024
"""Of all experiments together; 10,000 jobs take about 700 kB."""

# To look at all files takes longer than to write one.
_WRITES_BETWEEN_LOOKS = 64


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of an experiment: a digest of each job by its name, and which edges.

    `files` is the state of its files where the edges stand in one of their own, else nothing.
    """

    revision: str
    jobs: Mapping[str, str]
    edges_mark: str
    has_edges: bool
    files: Fingerprint


class Memory:
    """Remembers in a folder of its own: readers end, and what one has told another goes on from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writes = 0

    def recall(self, expid: str, revision: str) -> Told | None:
        """Return what was told of an experiment last, if that is this revision."""
        try:
            kept = json.loads(self._find(expid).read_bytes())
            told = Told(**kept | {"files": tuple(map(tuple, kept["files"]))})
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return told if told.revision == revision else None

    def keep(self, expid: str, told: Told) -> None:
        """Remember this instead of what was told before, unless the disk is full."""
        with suppress(OSError):
            files.make_private(self._folder)
            files.replace(self._find(expid), _dump(told))
            if self._writes % _WRITES_BETWEEN_LOOKS == 0:
                self._forget_oldest()
            self._writes += 1

    def _find(self, expid: str) -> Path:
        return self._folder / f"{expid}.json"

    def _forget_oldest(self) -> None:
        kept = 0
        with os.scandir(self._folder) as entries:
            found = [(entry.stat(follow_symlinks=False), entry.path) for entry in entries]
        for status, path in sorted(found, key=lambda each: each[0].st_mtime_ns, reverse=True):
            kept += status.st_size
            if kept > MOST_BYTES:
                Path(path).unlink(missing_ok=True)


def _dump(told: Told) -> bytes:
    """Return JSON. `asdict` would copy each digest, which takes as long as to read a job."""
    kept = {field.name: getattr(told, field.name) for field in fields(told)}
    return json.dumps(kept, separators=(",", ":")).encode()
