from django.db import migrations, models


def let_managers_revoke(apps, schema_editor):
    """Give the managers of a portal that exists what those of a new one get: to see and revoke all tokens."""
    group = apps.get_model("auth", "Group").objects.filter(name="Manager").first()
    if group is None:
        return
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="access", model="apitoken"
    )
    for verb in ("view", "delete"):
        permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=content_type,
            codename=f"{verb}_apitoken",
            defaults={"name": f"Can {verb} API token"},
        )
        group.permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ("access", "0003_roles_that_there_are"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="kinds",
            field=models.JSONField(
                default=None,
                help_text="Names of the action kinds that it is for; null: all, []: only to read.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="apitoken",
            name="only_teams",
            field=models.BooleanField(default=False, help_text="Whether it is limited to `teams`."),
        ),
        migrations.AddField(
            model_name="apitoken",
            name="teams",
            field=models.ManyToManyField(
                blank=True,
                help_text="The teams that it is limited to. When one is dissolved, less is left, never more.",
                related_name="tokens",
                to="access.team",
            ),
        ),
        migrations.AddField(
            model_name="apitoken",
            name="last_used_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="apitoken",
            name="last_used_address",
            field=models.GenericIPAddressField(editable=False, null=True),
        ),
        migrations.RunPython(let_managers_revoke, migrations.RunPython.noop),
    ]
