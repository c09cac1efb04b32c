"""On SQLite: refuse entries in the place of others, which no trigger for changes and deletions sees."""

from django.db import migrations

from autosubmit_portal.audit import triggers


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_place")]
    operations = [
        migrations.RunPython(triggers.remove, migrations.RunPython.noop),
        migrations.RunPython(triggers.install, migrations.RunPython.noop),
    ]
