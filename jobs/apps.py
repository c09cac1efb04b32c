"""The app of jobs."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Jobs of experiments; knows experiments by foreign-key name only."""

    name = "jobs"
