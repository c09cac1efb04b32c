"""Which commands of Autosubmit were at work on an experiment lately: each keeps a log in `<expid>/tmp/ASLOGS`.

They tell who changed something outside of the portal, and whether a run did that lives on another host.
"""

import os
import re

_LOG = re.compile(r"\d{8}_\d{6}_([a-z]+)\.log")


def find_commands_since(folder: str, since: float) -> list[str]:
    """Return the names of the commands that wrote into their logs since a time (seconds since 1970), each once.

    `folder` is that of the experiment. Nothing is told where the logs cannot be read.
    """
    try:
        with os.scandir(os.path.join(folder, "tmp", "ASLOGS")) as entries:
            logs = [(match[1], entry) for entry in entries if (match := _LOG.fullmatch(entry.name))]
            return sorted(
                {name for name, entry in logs if entry.stat(follow_symlinks=False).st_mtime >= since}
            )
    except OSError:
        return []
