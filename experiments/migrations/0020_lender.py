"""Know by their account who has lent the right to an action: a name may be given to somebody else."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def find_lenders(apps: Any, editor: Any) -> None:
    """Find those of actions that have not ended by the names that they were asked for with."""
    action = apps.get_model("experiments", "Action")
    user = apps.get_model(settings.AUTH_USER_MODEL)
    active = action.objects.filter(state__in=("awaiting_approval", "queued", "running"))
    named = user.objects.filter(username=OuterRef("on_behalf_of")).values("pk")
    active.exclude(on_behalf_of="").update(lender_id=Subquery(named[:1]))


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("experiments", "0019_failed_jobs"),
    ]

    operations = [
        migrations.AddField(
            model_name="action",
            name="lender",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(find_lenders, migrations.RunPython.noop),
    ]
