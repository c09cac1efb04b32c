"""How commands are executed at a site."""

from experiments.models import Site
from experiments.runners.base import Look, Runner
from experiments.runners.local import LocalRunner

__all__ = ["Look", "Runner", "get_runner"]


def get_runner(site: Site) -> Runner:
    """Return the runner of a site."""
    return LocalRunner(site)
