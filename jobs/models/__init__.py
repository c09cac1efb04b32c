"""The models of jobs."""

from jobs.models.dependency import JobDependency
from jobs.models.job import Job
from jobs.models.saved_view import SavedView

__all__ = ["Job", "JobDependency", "SavedView"]
