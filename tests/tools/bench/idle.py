"""What gateway and agent take while nothing happens at a site that is mirrored."""

import time

from tests.tools.bench.fleet import Member
from tests.tools.bench.judgement import Verdict, at_most, untargeted
from tests.tools.bench.memory import family
from tests.tools.bench.usage import Usage, read_pss

SECONDS = 30.0
# Until a mirror that has just begun has nothing left to do, and has seen for long that nothing happens.
SETTLE_SECONDS = 75.0
MOST_MEGABYTES, MOST_PERCENT = 60.0, 3.0
COLUMN = "result"


def measure(member: Member, seconds: float = SECONDS, settle: float = SETTLE_SECONDS) -> list[Verdict]:
    """Look at the processes of a portal whose mirror runs, for some seconds."""
    time.sleep(settle)
    (gateway,), mirror = member.portal.find_gateways(), member.portal.processes["mirror"].pid
    with Usage({"gateway": gateway, "mirror": mirror}) as usage:
        time.sleep(seconds)
    pids = family(gateway)
    return [
        at_most("idle: gateway, agent, watcher and readers, MB (PSS)", COLUMN, MOST_MEGABYTES, read_pss(pids)),
        at_most("idle: these, % of a core", COLUMN, MOST_PERCENT, 100 * usage.cores["gateway"]),
        untargeted("idle: how many processes they are", COLUMN, len(pids)),
        untargeted("idle: the mirror, MB (PSS)", COLUMN, read_pss([mirror])),
        untargeted("idle: the mirror, % of a core", COLUMN, 100 * usage.cores["mirror"]),
    ]
