"""What the queue calls; a message holds an id or a queue name and nothing else."""

from experiments.actions.execute import execute, watch
from experiments.actions.prune import prune
from experiments.actions.supervise import supervise

__all__ = ["execute", "prune", "supervise", "watch"]
