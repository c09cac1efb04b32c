"""Settings of the portal under fault injection: the product's own, from the environment, and two things more.

The broker delivers again after seconds, not after an hour. Named points of the way of an action can be armed from
outside (`points.py`).
"""

from autosubmit_portal.settings import *  # noqa: F403
from autosubmit_portal.settings import INSTALLED_APPS, Q_CLUSTER

INSTALLED_APPS = [*INSTALLED_APPS, "tests.tools.chaos.points.PointsConfig"]
Q_CLUSTER = {**Q_CLUSTER, "retry": 6}
SILENCED_SYSTEM_CHECKS = ["portal.E001"]  # that tasks are delivered again while they run is what is wanted here
