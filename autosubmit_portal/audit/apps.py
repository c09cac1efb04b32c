"""The app of the audit trail."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The append-only trail; records every sign-in by itself."""

    name = "autosubmit_portal.audit"
    label = "audit"

    def ready(self) -> None:
        """Listen to sign-ins and to changes of accounts and permissions."""
        from autosubmit_portal.audit import watch

        watch.watch_sign_ins()
        watch.watch_accounts()
