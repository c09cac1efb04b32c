"""A store that a test writes itself: nothing but what says where it is, and the folders of one experiment."""

import sqlite3
from pathlib import Path

RC = """
[database]
path = {home}
filename = autosubmit.db
[local]
path = {home}
[structures]
path = {home}
[historicdb]
path = {home}
"""


def write_store(home: Path, expid: str) -> Path:
    """Make the home of an Autosubmit that never ran, and return the folder of the experiment, with room for logs."""
    (home / ".autosubmitrc").write_text(RC.format(home=home))
    sqlite3.connect(home / "autosubmit.db").execute("create table experiment (id)").connection.close()
    for name in ("ASLOGS", f"LOG_{expid}"):
        (home / expid / "tmp" / name).mkdir(parents=True)
    return home / expid
