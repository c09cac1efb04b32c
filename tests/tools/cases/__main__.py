"""`make cases`, `case-es`, `case-climate-dt`, `case-edito`: cases by one command, which says what it lacks."""

import os
import signal
import sys

import django

from tests.tools.cases.hosts import Missing, require_means

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.tools.cases.case import find_program  # noqa: E402 - the models need the settings
from tests.tools.cases.climate_dt import ClimateDT  # noqa: E402
from tests.tools.cases.edito import EDITO  # noqa: E402
from tests.tools.cases.es import ES  # noqa: E402

CASES = {case.name: case for case in (ES, ClimateDT, EDITO)}


def main() -> int:
    """Play the cases that are named, one after another; each is taken down also when it is ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cases = [CASES[name] for name in sys.argv[1:]]
    try:
        require_means({program: package for case in cases for program, package in case.programs.items()})
        program = find_program()
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    for case in cases:
        case(program).play()
    return 0


if __name__ == "__main__":
    sys.exit(main())
