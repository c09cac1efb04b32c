"""Rows were written with the times of an attempt beside the status of the next: the mirror reads all of them again."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forget_what_was_seen(apps: Apps, _: BaseDatabaseSchemaEditor) -> None:
    """Let every job list look changed."""
    apps.get_model("experiments", "Experiment").objects.update(fingerprint=[])


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_wrapped_index"), ("experiments", "0007_run_as")]

    operations = [migrations.RunPython(forget_what_was_seen, migrations.RunPython.noop)]
