"""The columns of the chain, and the chain through the entries that are there already.

What those said before this moment is not proven by it: a marker entry says where the chain is original from.
"""

from django.db import migrations, models
from django.utils import timezone

from autosubmit_portal.audit import chain, triggers

BATCH = 1000
UPDATE = "UPDATE audit_auditentry SET previous = %s, digest = %s WHERE id = %s"


def chain_existing(apps, schema_editor):
    """Chain all entries in the order of their numbers, then add the marker; nothing on a portal that is new."""
    rows = apps.get_model("audit", "AuditEntry").objects.order_by("id")
    columns = chain.VERSIONS[1]
    last, count, digest = 0, 0, ""
    while batch := list(rows.filter(id__gt=last).values(*columns)[:BATCH]):
        links = []
        for values in batch:
            previous, digest = digest, chain.digest_of(values, digest, version=1)
            links.append((previous, digest, values["id"]))
        with schema_editor.connection.cursor() as cursor:
            cursor.executemany(UPDATE, links)
        last, count = links[-1][2], count + len(links)
    if count:
        _mark(rows, last, count)


def _mark(rows, last, count):
    places = chain.next_places(1)
    values = {
        **dict.fromkeys(chain.VERSIONS[1], ""),
        "id": places.ids[0],
        "at": timezone.now(),
        "event": "audit.chained",
        "actor_id": None,
        "address": None,
        "door": "command line",
        "subject": "audit trail",
        "action_id": None,
        "details": {"last_id": last, "entries": count},
        "message": "The entries before this one were chained when the portal was upgraded: "
        "the chain does not prove what they said until then.",
    }
    digest = chain.digest_of(values, places.previous, version=1)
    rows.create(**values, previous=places.previous, digest=digest)


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0002_append_only'),
    ]

    operations = [
        # SQLite makes the table anew for a new column, and triggers go with the old one.
        migrations.RunPython(triggers.remove, triggers.install),
        migrations.AddField(
            model_name='auditentry',
            name='credential',
            field=models.CharField(blank=True, help_text='What the actor came in with.', max_length=150),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='digest',
            field=models.CharField(blank=True, help_text='The keyed digest of all other columns; blank in an entry that was not written by the portal.', max_length=66),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='on_behalf_of',
            field=models.CharField(blank=True, help_text='Whom the actor acted for.', max_length=150),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='previous',
            field=models.CharField(blank=True, help_text='The digest of the entry before.', max_length=66),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['credential', '-at'], name='audit_credential'),
        ),
        migrations.RunPython(chain.make_function, migrations.RunPython.noop),
        migrations.RunPython(chain_existing, migrations.RunPython.noop),
        migrations.RunPython(triggers.install, triggers.remove),
    ]
