"""The sentences of a language, to find again those that the database holds in English."""

from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, find

from django.conf import settings
from django.utils.translation import to_locale

from autosubmit_portal.sentences import Forms


class _Catalogue(GNUTranslations):
    _catalog: Mapping[str | tuple[str, int], str]

    def list_texts(self) -> list[str]:
        """Return the texts that are translated, without those that have a plural."""
        return [text for text in self._catalog if isinstance(text, str)]


@cache
def get_forms(language: str) -> Forms:
    """Return the forms of a language; none for one without a catalogue."""
    file = find("django", settings.LOCALE_PATHS[0], [to_locale(language)])
    if file is None:
        return Forms([])
    with open(file, "rb") as opened:
        return Forms(_Catalogue(opened).list_texts())
