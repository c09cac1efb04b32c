"""The app of who may do what."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Roles, the policy and API tokens."""

    name = "autosubmit_portal.access"
    label = "access"
