"""Who keeps a right, as people say it: others by hand, or an identity provider at each sign-in."""

from django.conf import settings

from autosubmit_portal.access.models import BY_HAND
from autosubmit_portal.sentences import say


def say_source(source: str) -> str:
    """Return it in words, such as “by hand”."""
    return say("by hand") if source == BY_HAND else say("from {provider}", provider=name_source(source))


def name_source(source: str) -> str:
    """Return what people call the provider whose rows have this source; its address once it is not set up any more."""
    return next((one.name for one in settings.PROVIDERS if one.source == source), source.rpartition("-")[0] or source)
