"""Accounts of the identity provider are kept under a name with a digest of its whole address.

The name before was cut and folded, so that two issuers could share it. What stands under the old name of the issuer that
is configured now is of that issuer; what stands under another one stays, and belongs to nobody who signs in.
"""

from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import migrations
from django.utils.text import slugify

KEPT_BY_PROVIDER = (
    ("socialaccount", "SocialAccount", "provider"),
    ("access", "Membership", "source"),
    ("access", "SiteRole", "source"),
)


def name_before(issuer: str) -> str:
    """Return under which name the rows of the issuer were kept."""
    address = urlsplit(issuer)
    return slugify(f"{address.netloc}{address.path}".replace("/", "-").replace(".", "-").replace(":", "-"))[:50]


def name_now(issuer: str) -> str:
    """Return under which name they are kept from now on."""
    return f"{name_before(issuer)[:25]}-{sha256(issuer.encode()).hexdigest()[:24]}"


def rename(apps: Any, schema_editor: Any) -> None:
    """Give the rows of the configured issuer its new name."""
    issuer = settings.OIDC_ISSUER
    if issuer:
        for app, model, column in KEPT_BY_PROVIDER:
            rows = apps.get_model(app, model)._default_manager.filter(**{column: name_before(issuer)})
            rows.update(**{column: name_now(issuer)})


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0007_delegation"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]

    operations = [migrations.RunPython(rename, migrations.RunPython.noop)]
