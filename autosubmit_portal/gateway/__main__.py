"""The gateway: `python -m autosubmit_portal.gateway FILE`."""

import sys
from pathlib import Path

from autosubmit_portal.gateway.hosts import BadHostsFileError, read_hosts
from autosubmit_portal.gateway.service import Gateway

try:
    hosts = read_hosts(Path(sys.argv[1]))
except BadHostsFileError as error:
    sys.exit(str(error))
Gateway(hosts).serve()
