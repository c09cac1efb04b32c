"""`make case-es`, `case-climate-dt`, `case-edito`: one case by one command, which says what it needs and lacks."""

import os
import signal
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.tools.cases.case import find_program  # noqa: E402 - the models need the settings
from tests.tools.cases.climate_dt import ClimateDT  # noqa: E402
from tests.tools.cases.edito import EDITO  # noqa: E402
from tests.tools.cases.es import ES  # noqa: E402
from tests.tools.cases.hosts import Missing  # noqa: E402

CASES = {case.name: case for case in (ES, ClimateDT, EDITO)}


def main() -> int:
    """Play the case that is named; it is taken down also when it is ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        CASES[sys.argv[1]](find_program()).play()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
