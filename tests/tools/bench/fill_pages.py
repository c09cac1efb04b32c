"""Fills a portal for the part `pages`: many experiments, one of them long and in the middle of its run."""

import json

from experiments.models import Experiment
from tests.tools.bench.fill_changes import fill_experiments
from tests.tools.bench.fill_lists import _session
from tests.tools.bench.fill_pictures import fill_one


def fill(experiments: int, jobs: int) -> None:
    """Make the rows; print the key of the long experiment and the session of a manager."""
    fill_experiments(experiments)
    one = Experiment.objects.order_by("expid")[experiments // 2]
    fill_one(one, jobs)
    print(json.dumps({"pk": one.pk, "session": _session()}))
