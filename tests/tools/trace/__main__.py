"""`make trace`: how many files, functions, jumps and queries a request takes; `--files` names the files."""

import argparse
import os

import django


def main() -> None:
    """Measure all ways on a database in memory and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.trace", description=__doc__)
    parser.add_argument("--files", action="store_true", help="name the files in the order in which they are entered")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.db import connection
    from django.test.utils import setup_test_environment

    from experiments import hosts
    from tests.support.in_process_host import InProcessHosts
    from tests.tools.trace.ways import WAYS, measure

    setattr(hosts, "caller", InProcessHosts())  # noqa: B010 # as the fixture of tests does

    setup_test_environment()
    connection.creation.create_test_db(verbosity=0)
    print(f"{'way':22}{'files':>7}{'functions':>11}{'jumps':>7}{'queries':>9}")
    for name, ask in WAYS.items():
        crossing = measure(ask)
        print(f"{name:22}{len(crossing.files):7}{crossing.functions:11}{crossing.jumps:7}{crossing.queries:9}")
        if options.files:
            print(*(f"    {file}" for file in crossing.files), sep="\n")


if __name__ == "__main__":
    main()
