"""Run with the environment of a portal: passes over a store in which nothing changed, beside the bare `stat` calls.

Both are timed by turns in one process and printed as JSON: lists of seconds.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import django


def main(rounds: int) -> None:
    """Time whole passes over the only site, those of a running mirror, and `os.stat` of the files of a whole pass."""
    django.setup()
    from experiments.mirror.site_mirror import SiteMirror
    from experiments.models import Site

    site = Site.objects.get()
    # The impatient one looks at every experiment in every pass, as `manage.py mirror --once` does.
    whole, running = SiteMirror(site.pk, is_patient=False), SiteMirror(site.pk)
    for mirror in (whole, running):
        mirror.look()  # reads the list of experiments and recalls what is mirrored
    files = _files_of(whole.look)
    turns = [(_timed(lambda: _stat(files)), _timed(whole.look), _timed(running.look)) for _ in range(rounds)]
    bare, passes, usual = zip(*turns, strict=True)
    print(json.dumps({"files": len(files), "bare": bare, "passes": passes, "usual": usual}))


def _files_of(work: Callable[[], object]) -> list[str]:
    """Return the files that `os.stat` is asked for meanwhile."""
    real, files = os.stat, []

    def noted(path: Any, **options: Any) -> os.stat_result:
        files.append(os.fspath(path))
        return real(path, **options)

    with patch("os.stat", noted):
        work()
    return files


def _stat(files: list[str]) -> None:
    for name in files:
        with suppress(OSError):
            os.stat(name)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]))
