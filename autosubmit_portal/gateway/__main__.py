"""The gateway: `python -m autosubmit_portal.gateway FILE`."""

import sys
from pathlib import Path

from autosubmit_portal.gateway.hosts import BadHostsFileError, read_hosts
from autosubmit_portal.gateway.service import Gateway

if len(sys.argv) != 2:
    sys.exit("Name one file: python -m autosubmit_portal.gateway FILE")
try:
    gateway = Gateway(read_hosts(Path(sys.argv[1])))
except BadHostsFileError as error:
    sys.exit(str(error))
gateway.serve()
