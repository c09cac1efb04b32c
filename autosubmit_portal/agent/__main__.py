"""The agent: `python -I agent.pyz [SITE_FILE]`, or `… --to URL --host NAME --token-file FILE` where it calls itself."""

import os
import sys

if sys.version_info < (3, 10):
    sys.exit("The agent needs Python 3.10 or newer; this is Python %s." % sys.version.split()[0])

# The file itself: a link to it may be changed while this runs, and modules are read when they are needed.
sys.path.insert(0, os.path.realpath(sys.path[0]))

from argparse import ArgumentParser
from pathlib import Path

from autosubmit_portal.agent.service import run
from autosubmit_portal.agent.site_file import USUAL_PLACE

parser = ArgumentParser("agent.pyz", description="Serve the gateway of a portal on descriptors 0 and 1, or call it.")
parser.add_argument("site_file", nargs="?", type=Path, default=USUAL_PLACE, help="what the site allows (%(default)s)")
parser.add_argument("--to", action="append", metavar="URL", help="call this gateway over WebSocket; may be repeated")
parser.add_argument("--host", metavar="NAME", help="the name of this host in the gateway's file of hosts")
parser.add_argument("--token-file", type=Path, metavar="FILE", help="the token of this host")
parser.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust instead of the system's")
parser.add_argument("--without-tls", action="store_true", help="allow ws://, which shows the token to the network")
options = parser.parse_args()
if not options.to:
    run(options.site_file)
elif not options.host or not options.token_file:
    parser.error("--to needs --host and --token-file")
else:
    from autosubmit_portal.agent.connector import Connector, Credentials

    credentials = Credentials(options.host, options.token_file, options.ca_file, options.without_tls)
    try:
        Connector(
            options.to, credentials, [sys.executable, "-I", os.path.abspath(sys.argv[0])], options.site_file
        ).run()
    except ValueError as error:
        sys.exit(str(error))
