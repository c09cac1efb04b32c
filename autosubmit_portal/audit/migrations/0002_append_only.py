"""Let the database itself refuse changes of the trail."""

from django.db import migrations

from autosubmit_portal.audit import triggers


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(triggers.install, triggers.remove)]
