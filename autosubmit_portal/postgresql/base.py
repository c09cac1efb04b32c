"""The backend itself; Django looks for `DatabaseWrapper` in the module `base` of what ENGINE names."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that each request looks at instead of asking the server whether it is there."""

    def is_usable(self) -> bool:
        """Answer whether the connection is alive. The server sends nothing unasked until it ends one."""
        poll = select.poll()
        try:
            poll.register(self.connection.pgconn.socket, select.POLLIN)
        except self.Database.Error:
            return False
        return not poll.poll(0) or super().is_usable()
