from django.db import migrations, models
from django.db.models.functions import Coalesce, Now


def date_known_problems(apps, schema_editor):
    """Say of what is broken already that it is so since it was last read, the earliest that it can be."""
    experiments = apps.get_model("experiments", "Experiment").objects.exclude(problem="")
    experiments.update(problem_since=Coalesce("refreshed_at", Now()))


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0007_run_as"),
    ]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="problem_since",
            field=models.DateTimeField(help_text="When its files could first not be read.", null=True),
        ),
        migrations.RunPython(date_known_problems, migrations.RunPython.noop),
    ]
