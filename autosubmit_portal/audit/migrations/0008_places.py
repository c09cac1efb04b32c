"""On PostgreSQL: the function that gives the next places of the chain, for one entry or many."""

from django.db import migrations

from autosubmit_portal.audit import chain


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_lists")]
    operations = [
        migrations.RunPython(chain.make_function, migrations.RunPython.noop),
        migrations.RunPython(chain.drop_old_function, migrations.RunPython.noop),
    ]
