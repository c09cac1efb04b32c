"""On PostgreSQL: the function that gives the next place of the chain, together with its lock."""

from django.db import migrations

from autosubmit_portal.audit import chain


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_chain")]
    operations = [migrations.RunPython(chain.make_function, migrations.RunPython.noop)]
