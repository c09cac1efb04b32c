"""The agent: `python -I agent.pyz [SITE_FILE]`."""

import os
import sys

if sys.version_info < (3, 10):
    sys.exit("The agent needs Python 3.10 or newer; this is Python %s." % sys.version.split()[0])

# The file itself: a link to it may be changed while this runs, and modules are read when they are needed.
sys.path.insert(0, os.path.realpath(sys.path[0]))

from autosubmit_portal.agent.service import run

run(sys.argv[1:])
