"""The gateway: `python -m autosubmit_portal.gateway FILE [--until-idle]`."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from autosubmit_portal.gateway.hosts import BadHostsFileError
from autosubmit_portal.gateway.service import Displaced, Gateway

parser = ArgumentParser("python -m autosubmit_portal.gateway", description="Pass requests on to the hosts of sites.")
parser.add_argument("file", type=Path, help="the file of hosts")
parser.add_argument("--until-idle", action="store_true", help="end when nobody has asked for some minutes")
arguments = parser.parse_args()
try:
    Gateway(arguments.file).serve(until_idle=arguments.until_idle)
except (BadHostsFileError, Displaced) as error:
    sys.exit(str(error))
