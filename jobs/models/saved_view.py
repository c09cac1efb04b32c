"""A view of the list of jobs that somebody has given a name."""

from django.conf import settings
from django.db import models
from django.db.models import Q

LONGEST_NAME, LONGEST_QUERY = 60, 4000


class SavedView(models.Model):
    """What the address of a list of jobs chooses: its filters, columns and order, as the query of an address.

    It is of one experiment, or of any: then it chooses among the jobs of the list that it is opened on.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    experiment = models.ForeignKey("experiments.Experiment", null=True, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=LONGEST_NAME)
    query = models.CharField(max_length=LONGEST_QUERY)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "experiment", "name"], name="jobs_one_view_of_a_name"),
            models.UniqueConstraint(
                fields=["user", "name"], condition=Q(experiment=None), name="jobs_one_general_view_of_a_name"
            ),
        ]
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
