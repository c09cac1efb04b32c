"""How a reader opens files of a store: only inside of the folders that the store names, and databases as copies."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from autosubmit_portal.sentences import say
from experiments.autosubmit.store import Store
from jobs.autosubmit.database import Access
from jobs.autosubmit.logs.safe_open import LeadsOutside, open_inside
from jobs.autosubmit.private_copy import copy_database


class PrivateAccess:
    """Opens files that belong to one experiment, and keeps the copies of databases in `folder`, each made once."""

    def __init__(self, store: Store, expid: str, folder: Path) -> None:
        of_all = (store.structures, store.history, store.database.parent, store.command_logs)
        self._bases = (store.experiment_folder(expid), *of_all)
        self._named = store.database
        self._folder = folder
        self._copies: dict[Path, Path] = {}

    def make_access(self) -> Access:
        """Return it in the form that what reads stores takes."""
        return Access(self._open, self._lend)

    def _open(self, path: Path) -> IO[bytes]:
        for base in self._bases:
            if path.is_relative_to(base):
                try:
                    return io.BufferedReader(open_inside(base, str(path.relative_to(base))))
                except LeadsOutside as error:
                    raise OSError(str(error)) from error
        raise OSError(say("{path} is in no folder of the store", path=path))

    @contextmanager
    def _lend(self, path: Path) -> Iterator[Path]:
        if path not in self._copies:
            copy = self._folder / f"{len(self._copies)}.db"
            if path == self._named:
                copy_named_database(path, copy)
            else:
                copy_database(path, copy, self._open)
            self._copies[path] = copy
        yield self._copies[path]


def open_named_database(path: Path) -> IO[bytes]:
    """Open a database that the configuration of Autosubmit names, which may be a link, if it is a regular file."""
    real = Path(os.path.realpath(path))
    return io.BufferedReader(open_inside(real.parent, real.name))


def copy_named_database(path: Path, target: Path) -> None:
    """Copy such a database, with the log that is beside the file itself. Raises OSError."""
    copy_database(Path(os.path.realpath(path)), target, open_named_database)
