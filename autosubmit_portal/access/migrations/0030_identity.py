import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("access", "0003_roles_that_there_are"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]

    operations = [
        migrations.CreateModel(
            name="Identity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(blank=True, help_text="Of what the claims granted last.", max_length=64)),
                ("issued_at", models.DateTimeField(help_text="Of those claims; older ones change nothing.")),
                ("account", models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name="identity", to="socialaccount.socialaccount")),
                ("groups", models.ManyToManyField(related_name="+", to="auth.group")),
            ],
            options={"verbose_name_plural": "identities", "default_permissions": ()},
        ),
        migrations.AddField(
            model_name="siterole",
            name="source",
            field=models.CharField(default="hand", editable=False, help_text="“hand”, or the identity provider that keeps it.", max_length=50),
        ),
        migrations.RemoveConstraint(model_name="siterole", name="access_one_site_role"),
        migrations.AddConstraint(
            model_name="siterole",
            constraint=models.UniqueConstraint(fields=("user", "site", "source"), name="access_one_site_role"),
        ),
    ]
