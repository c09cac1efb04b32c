"""What the scripts of pages say, for `static/portal/words.js`: in English they know it themselves."""

from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

WORDS = (
    *("just now", "{time} ago", "in {time}", "Live", "Paused while rows are chosen", "This is not there any more"),
    *("Portal not reachable, trying again", "{size} bytes", "{size} bytes, at {part} %", "Nothing printed yet"),
    *("Cannot be read now. Try again.", "Cannot be searched now", "Searched {part} %", "Not found"),
    *("{number} of {all}, line {line}", "Dismiss"),
    *("Copied", "submitted {at}", "waited {time}", "ran {time}", "chosen", "Nothing is called so.", "Found"),
    *("since {at} (seen)", "in {wrapper}", "1 job", "{count} jobs", "from {at}", "goes on for {time}", "took {time}"),
    *("1 job chosen", "{count} jobs chosen"),
    *("{shown} of {all}", "The picture cannot be loaded now. The table below has the same jobs."),
)


def show_script_words() -> SafeString:
    """Return the words in the language of the page, as JSON in an element of their own; nothing for English."""
    if (get_language() or "en").startswith("en"):
        return SafeString()
    return json_script({word: gettext(word) for word in WORDS}, "words")
