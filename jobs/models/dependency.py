"""Which job waits for which."""

from django.db import models

from jobs.models.job import Job


class JobDependency(models.Model):
    """An edge of the job graph: the child waits for the parent."""

    parent = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="child_edges")
    child = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parent_edges")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["parent", "child"], name="jobs_unique_dependency")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.parent_id} → {self.child_id}"
