"""What the queue calls; a message holds an id or a queue name and nothing else."""

from autosubmit_portal.db.analysis import analyse
from experiments.actions.execute import execute, watch
from experiments.actions.prune import prune
from experiments.actions.supervise import supervise

__all__ = ["analyse", "execute", "prune", "supervise", "watch"]
