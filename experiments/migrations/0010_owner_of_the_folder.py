"""The owner is whose folder it is; what Autosubmit's database says of it is only what is recorded.

Whose folder it is, is not known before the mirror has looked: until then nobody has the rights of an owner.
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0009_token_of_the_request'),
    ]

    operations = [
        migrations.RenameField(
            model_name='experiment',
            old_name='owner',
            new_name='recorded_owner',
        ),
        migrations.AddField(
            model_name='experiment',
            name='owner',
            field=models.CharField(blank=True, max_length=100),
        ),
        migrations.AddField(
            model_name='experiment',
            name='owner_uid',
            field=models.BigIntegerField(null=True),
        ),
    ]
