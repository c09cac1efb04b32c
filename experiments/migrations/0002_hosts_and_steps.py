from itertools import islice

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


def add_hosts_and_steps(apps, editor):
    """Give each site its host, and each command that was started the key by which agents find what was before them."""
    sites, hosts, actions, steps = (
        apps.get_model("experiments", name).objects for name in ("Site", "Host", "Action", "Step")
    )
    host_of = {site.pk: hosts.create(site=site, name=site.slug).pk for site in sites.all()}
    started = actions.exclude(step_started_at=None).values_list("pk", "site_id", "step")
    new = (
        steps.model(action_id=action, number=number, key=f"legacy:{action}/{number}", host_id=host_of[site])
        for action, site, step in started.iterator()
        for number in range(step + 1)
    )
    while batch := list(islice(new, 1000)):
        steps.bulk_create(batch)


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='action',
            name='unseen_since',
            field=models.DateTimeField(help_text='Since when nobody knows whether the command that runs lives; `message` says why.', null=True),
        ),
        migrations.CreateModel(
            name='Host',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text="Its name in the gateway's file of hosts.", max_length=100, unique=True, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9_-][A-Za-z0-9_.-]*$', 'Letters, digits, `_`, `-` and `.`.')])),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='hosts', to='experiments.site')),
            ],
            options={
                'ordering': ('pk',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Step',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveSmallIntegerField()),
                ('key', models.CharField(max_length=64, unique=True)),
                ('output', models.BinaryField(null=True)),
                ('output_bytes', models.PositiveBigIntegerField(default=0)),
                ('is_forgotten', models.BooleanField(default=False)),
                ('given_up_at', models.DateTimeField(null=True)),
                ('action', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='experiments.action')),
                ('host', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='experiments.host')),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(condition=models.Q(('is_forgotten', False)), fields=['host'], name='experiments_steps_at_hosts')],
                'constraints': [models.UniqueConstraint(fields=('action', 'number'), name='experiments_one_step_of_a_number')],
            },
        ),
        migrations.RunPython(add_hosts_and_steps, migrations.RunPython.noop, elidable=True),
    ]
