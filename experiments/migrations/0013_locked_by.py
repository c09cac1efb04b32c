from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0012_known_edges'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='locked_by',
            field=models.CharField(blank=True, max_length=200),
        ),
    ]
