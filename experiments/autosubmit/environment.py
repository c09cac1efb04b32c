"""The environment that Autosubmit's commands run in."""

import os
import pwd
from pathlib import Path


def make_environment(program: Path, home: Path, caches: Path, configuration: str = "") -> dict[str, str]:
    """Return the variables that Autosubmit needs, and none of the portal's own.

    `program` is the autosubmit program; its folder comes first on the PATH. `home` is the folder of `.autosubmitrc`;
    `configuration` is a file that replaces it. `caches` is for caches of libraries, such as matplotlib's list of fonts:
    they would otherwise write into `home`, which is not the portal's. LOGNAME must be the real user, who owns what is
    created; TERM keeps Autosubmit from clearing a terminal that does not exist.
    """
    user = pwd.getpwuid(os.geteuid()).pw_name
    variables = {
        "HOME": str(home),
        "PATH": f"{program.parent}:{os.environ.get('PATH', os.defpath)}",
        "USER": user,
        "LOGNAME": user,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "XDG_CACHE_HOME": str(caches),
        "MPLCONFIGDIR": str(caches / "matplotlib"),
    }
    return variables | ({"AUTOSUBMIT_CONFIGURATION": configuration} if configuration else {})
