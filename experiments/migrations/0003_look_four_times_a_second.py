"""The mirror looks four times a second, so that a change is in the API within two; parts of seconds may be said."""

import django.core.validators
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

BEFORE, NOW = 1, 0.25


def _hasten(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give the sites that had the default of before the one of now."""
    apps.get_model("experiments", "Site").objects.filter(refresh_seconds=BEFORE).update(refresh_seconds=NOW)


def _slow_down(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give whole seconds to the sites with parts of them."""
    apps.get_model("experiments", "Site").objects.filter(refresh_seconds__lt=BEFORE).update(
        refresh_seconds=BEFORE
    )


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0002_attention_and_truth"),
    ]

    operations = [
        migrations.AlterField(
            model_name="site",
            name="refresh_seconds",
            field=models.FloatField(
                default=0.25,
                help_text="How often the mirror looks, in seconds.",
                validators=[
                    django.core.validators.MinValueValidator(0.1),
                    django.core.validators.MaxValueValidator(3600),
                ],
            ),
        ),
        migrations.RunPython(_hasten, _slow_down),
    ]
