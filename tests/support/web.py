"""A web server alone, over rows and a store that are written by hand: what it answers, without Autosubmit behind it."""

import json
from pathlib import Path

from autosubmit_portal.management.demo import Autosubmit
from tests.support.services import Credentials, Portal

PASSWORD = "a password of the tests"
TEAM_ELSEWHERE = "elsewhere"
LOG = "20261125_100000_run.log"
FILL = "import os; from tests.support.web_rows import fill; print(fill(os.environ['TEXT'], os.environ['STORE']))"


def serve(home: Path, static_files: Path, text: str = "Control run", **variables: str) -> Portal:
    """Start a web server on SQLite whose rows and logs say `text`; its credentials are those of a superuser."""
    (home / "static").symlink_to(static_files)
    made = Portal(home=home, autosubmit=Autosubmit(Path("/nowhere"), home / "store"), variables=variables)
    made.make_tables()
    (home / "store").mkdir()
    filled = made.manage("shell", "--no-imports", "-c", FILL, TEXT=text, STORE=str(home / "store"))
    made.credentials = Credentials("admin", PASSWORD, read_token(filled))
    made.start("web")
    return made


def read_token(filled: str) -> str:
    """Return the token of the superuser from what FILL printed."""
    return str(json.loads(filled.splitlines()[-1])["admin"])
