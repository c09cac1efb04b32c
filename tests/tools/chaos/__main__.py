"""`make chaos`: the full form, on every database and broker; SEED= repeats the requests and faults of another time."""

import argparse
import os
import secrets
import sys

from tests.tools.chaos.fleet import Setup
from tests.tools.chaos.ordeal import Verdict, ordeal
from tests.tools.chaos.sites import FAKETIME

SERVERS = (("SQLite", "database"), ("PostgreSQL", "database"), ("PostgreSQL", "Redis"))
SETUPS = (
    Setup("SQLite"),
    *(Setup(database, broker, channel) for channel in ("local", "sudo", "ssh") for database, broker in SERVERS),
    Setup("PostgreSQL", channel="websocket"),
)


def main() -> int:
    """Do all ordeals and print what was done and found; the exit status is 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--faults", type=int, default=32, help="of each setup")
    parser.add_argument("--experiments", type=int, default=16)
    parser.add_argument("--haste", action="store_true", help="with short patience instead of the product's own")
    parser.add_argument("--only", choices=[setup.title for setup in SETUPS])
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    if not FAKETIME:
        print("The clocks of agents stay right: there is no faketime", flush=True)
    verdicts = []
    for setup in SETUPS:
        if setup.needs_root and os.geteuid():
            print(f"{setup.title} is left out: only root makes accounts", flush=True)
        elif options.only in (None, setup.title):
            verdicts.append(
                ordeal(
                    setup,
                    seed=options.seed,
                    faults=options.faults,
                    experiments=options.experiments,
                    in_haste=options.haste,
                )
            )
            print(report(verdicts[-1]), flush=True)
    print(f"seed {options.seed}: {sum(verdict.faults.total() for verdict in verdicts)} faults")
    return 0 if all(verdict.is_clean for verdict in verdicts) else 1


def report(verdict: Verdict) -> str:
    """Return the verdict as text."""
    lines = [f"\n== {verdict.title}; all ended {verdict.settled_seconds:.0f} s after the last fault"]
    lines += [f"{count:6}  {name}" for name, count in verdict.figures.items()]
    lines += [f"{count:6}    {name}" for name, count in sorted(verdict.faults.items())]
    for name, found in verdict.wrong.items():
        lines += [f"{len(found):6}  {name}", *(f"          {text}" for text in found)]
    if verdict.kept:
        lines.append(f"Rows, logs and run directories are kept in {verdict.kept}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
