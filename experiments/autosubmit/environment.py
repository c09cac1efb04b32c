"""The environment that Autosubmit's commands run in."""

import os
import pwd
from pathlib import Path


def make_environment(program: Path, home: Path, caches: Path, configuration: str = "") -> dict[str, str]:
    """Return the least that Autosubmit needs and nothing of ours.

    `program` is the autosubmit program: what stands beside it comes first on the PATH. `home` is the folder that
    holds `.autosubmitrc`; `configuration` the file that replaces it. `caches` is where libraries keep what they can
    make again, such as matplotlib its list of fonts: they would leave it in `home`, which is not ours. LOGNAME must be
    the real user, who owns what is created; TERM keeps Autosubmit from clearing a terminal that is not there.
    """
    user = pwd.getpwuid(os.getuid()).pw_name
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
