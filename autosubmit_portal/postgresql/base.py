"""The backend itself; Django looks for `DatabaseWrapper` in the module `base` of what ENGINE names."""

import select
from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql import base

# A transaction of its own that changes nothing: its commit waits until all commits before it are on the disk.
_FLUSH = "SELECT pg_logical_emit_message(true, 'autosubmit_portal', '')"


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that looks whether it is alive without asking, and can send a statement along with its COMMIT."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: tuple[str, Sequence[Any]] | None = None
        self._is_flush_owed = False

    def is_usable(self) -> bool:
        """Answer whether the connection is alive. The server sends nothing unasked until it ends one."""
        poll = select.poll()
        try:
            poll.register(self.connection.pgconn.socket, select.POLLIN)
        except self.Database.Error:
            return False
        return not poll.poll(0) or super().is_usable()

    def execute_last(self, sql: str, params: Sequence[Any]) -> None:
        """Execute a statement without an answer together with the COMMIT that comes, or before any other statement.

        For what must not take time while a lock is held. The commit itself waits for the disk after it has let go of
        its locks, if the transaction has set `synchronous_commit` to off, so that many commits wait for one write.
        """
        self._execute_last()
        self._last, self._is_flush_owed = (sql, params), True

    def _execute_last(self) -> None:
        if self._last:
            last, self._last = self._last, None
            with self.cursor() as cursor:
                cursor.execute(*last)

    def _cursor(self, name: str | None = None) -> Any:
        self._execute_last()  # what comes now must find it done
        return super()._cursor(name)  # type: ignore[misc] # not in the stubs

    def _commit(self) -> None:
        last, is_flush_owed = self._last, self._is_flush_owed
        self._forget_last()
        if not is_flush_owed or self.connection is None:
            super()._commit()  # type: ignore[misc]
            return
        with self.wrap_database_errors, self.connection.pipeline():
            if last:
                self.connection.execute(*last)
            self.connection.execute("COMMIT", prepare=False)  # psycopg's own waits for its answer
            self.connection.execute(_FLUSH)

    def _rollback(self) -> None:
        self._forget_last()
        super()._rollback()  # type: ignore[misc]

    def _forget_last(self) -> None:
        self._last, self._is_flush_owed = None, False

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        self._forget_last()
        super().close()
