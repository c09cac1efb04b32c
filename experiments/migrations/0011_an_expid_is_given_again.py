"""One present experiment of an expid, and any number of those that are gone: Autosubmit gives an expid again."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0010_owner_of_the_folder'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='expid_since',
            field=models.DateTimeField(help_text='Since when the expid is its own, where another experiment had it before.', null=True),
        ),
        migrations.RemoveConstraint(
            model_name='experiment',
            name='experiments_unique_expid',
        ),
        migrations.AddConstraint(
            model_name='experiment',
            constraint=models.UniqueConstraint(condition=Q(gone_at=None), fields=('site', 'expid'), name='experiments_one_present_of_an_expid'),
        ),
        migrations.AddIndex(
            model_name='experiment',
            index=models.Index(fields=['expid', 'site', 'gone_at'], name='experiments_named'),
        ),
    ]
