"""The project as an app: Django finds its admin and commands; the apps are connected here."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Connects API and console with the apps below."""

    name = "autosubmit_portal"
    label = "portal"

    def ready(self) -> None:
        """Let the audit trail watch sites, their hosts, API tokens and rights; register the checks of the settings.

        Names of models and of their fields are shown in the language of the page. After a change of rights, actions
        that wait for somebody who has lost theirs are cancelled.
        """
        from autosubmit_portal import checks  # noqa: F401
        from autosubmit_portal.access import models as access
        from autosubmit_portal.audit import watch
        from autosubmit_portal.console.words import translate_models
        from experiments.actions.recheck import call_off_unpermitted
        from experiments.models import Host, Site

        kept_by_the_mirror = {field.name for field in Site._meta.fields if not field.editable}
        watch.watch(Site, unless=frozenset(kept_by_the_mirror))
        watch.watch(Host, unless=frozenset(Host.ASKED))
        watch.watch(access.ApiToken)
        for model in access.RIGHTS:
            watch.watch(model)
        watch.listen(call_off_unpermitted)
        translate_models()
