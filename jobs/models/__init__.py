"""The models of jobs."""

from jobs.models.dependency import JobDependency
from jobs.models.job import Job

__all__ = ["Job", "JobDependency"]
