"""The project as an app: its admin and commands are found by Django, and the wiring between apps is done here."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The doors, and what they are wired to."""

    name = "autosubmit_portal"
    label = "portal"

    def ready(self) -> None:
        """Have the audit trail watch sites, API tokens and rights; register the checks of the settings.

        A change of them calls off what waits for somebody who has lost the right to it.
        """
        from autosubmit_portal import checks  # noqa: F401
        from autosubmit_portal.access import models as access
        from autosubmit_portal.audit import watch
        from experiments.actions.recheck import call_off_unpermitted
        from experiments.models import Site

        kept_by_the_mirror = {field.name for field in Site._meta.fields if not field.editable}
        watch.watch(Site, unless=frozenset(kept_by_the_mirror))
        watch.watch(access.ApiToken)
        for model in access.RIGHTS:
            watch.watch(model)
        watch.listen(call_off_unpermitted)
