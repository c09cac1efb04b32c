"""Every word of every page comes from the catalogue of a language, or is data.

Each page is made in a language in which whatever is translated stands in brackets. What stands outside of them, and is
no data, nobody could translate. A new page is looked at by being there.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from autosubmit_portal.console.parts import script_words
from autosubmit_portal.console.words import APPS
from experiments.catalogue.kinds import CATALOGUE
from tests.test_queries import address_of, create_rows, multiply, routes

OPEN, CLOSE = "⟦", "⟧"
_TRANSLATED = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")
# Of a template: what is translated, and names of classes.
_NO_WORDS = r"{% blocktranslate.*?{% endblocktranslate %}|{% block bodyclass %}.*?{% endblock %}"
_WORD = re.compile(r"[A-Za-z]{3,}")
# Names, units and signs, which are the same in all languages.
SAME = frozenset(
    [
        "Autosubmit",
        "Portal",
        "API",
        "UTC",
        "HPC",
        "CSV",
        "CPU",
        "SSH",
        "Unix",
        "Markdown",
        "GMT",
        "SYPD",
        "ASYPD",
        "RSYPD",
        "CHSY",
        "JPSY",
        "SIM",
        "POST",
        "TRANSFER",
        "CLEAN",
        "Esc",
        "Ctrl",
        "Enter",
        "Shift",
        "expid",
        "out",
        "err",
        "min",
        "English",
        "Espa",
        "COMPLETED",
        "SKIPPED",
        "FAILED",
        "RUNNING",
        "QUEUING",
        "SUBMITTED",
        "PREPARED",
        "READY",
        "HELD",
        "DELAYED",
        "SUSPENDED",
        "WAITING",
        "UNKNOWN",
    ]
)
# What Django says itself in English only, and names of tables that it makes.
OF_DJANGO = re.compile("current password for this user|able to authenticate using a password|Group.permission")
# What the agent of a site has answered; it speaks English.
OF_AGENTS = re.compile("There is no Autosubmit configuration /")
TEMPLATES = Path(settings.BASE_DIR, "templates")
SCRIPTS = Path(settings.BASE_DIR, "autosubmit_portal/static/portal")
OF_THE_API = ("rest_framework", "drf_spectacular")
# Code, data of programs, and what is offered while somebody types.
UNREAD = {"script", "style", "code", "pre", "kbd", "datalist", "textarea"}
SHOWN = ("title", "aria-label", "placeholder", "alt", "data-tip", "data-label")


class Reader(HTMLParser):
    """Collects what people read in a page, or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what stands in attributes."""
        self.unread += tag in UNREAD
        found = dict(attrs)
        shown = [found.get(name) for name in SHOWN]
        shown += [found.get("value")] if tag == "input" and found.get("type") == "submit" else []
        self.texts += [text for text in shown if text]

    def handle_endtag(self, tag: str) -> None:
        """Leave what is not read."""
        self.unread -= tag in UNREAD

    def handle_data(self, data: str) -> None:
        """Collect a text."""
        if not self.unread and data.strip():
            self.texts.append(data)


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language whose words are the English ones in brackets."""
    for model in apps.get_models():
        assert model._meta.verbose_name_raw  # Django keeps it, and would keep it in brackets
    functions: Any = translation._trans  # type: ignore[attr-defined]  # of the stubs alone
    monkeypatch.setattr(functions, "gettext", lambda text: f"{OPEN}{text}{CLOSE}" if text else "")
    monkeypatch.setattr(functions, "pgettext", lambda _context, text: f"{OPEN}{text}{CLOSE}")
    monkeypatch.setattr(functions, "ngettext", lambda one, many, count: f"{OPEN}{one if count == 1 else many}{CLOSE}")


def list_data() -> set[str]:
    """Return the words of all rows."""
    labels = (*APPS, "auth", "axes", "portal")
    rows = (
        row
        for label in labels
        for model in apps.get_app_config(label).get_models()
        for row in model._default_manager.all()
    )
    examples = (option.example for kind in CATALOGUE.values() for option in kind.options)
    texts = (text for row in rows for text in (*vars(row).values(), row))
    return {word for text in (*texts, *examples) for word in _WORD.findall(str(text))}


def list_untranslated(html: str, data: set[str]) -> Iterator[str]:
    """Yield the texts of a page with words that come neither from a catalogue nor from a row."""
    reader = Reader()
    # A sentence may hold elements, and other sentences.
    while _TRANSLATED.search(html):
        html = _TRANSLATED.sub(_empty, html)
    reader.feed(html)
    for text in reader.texts:
        if {*_WORD.findall(text)} - data - SAME and not OF_DJANGO.search(text) and not OF_AGENTS.search(text):
            yield " ".join(text.split())


def _empty(match: re.Match[str]) -> str:
    """Leave of a translated text its elements."""
    return "".join(re.findall(r"<[^<>]*>", match[0]))


def list_pages() -> Iterator[str]:
    """Yield the addresses of the pages of the console."""
    for route in routes():
        if not route.startswith(("v4", "healthz", "metrics", "jsi18n")):
            yield address_of(route)


def test_every_word_of_every_page_can_be_translated(admin_user: User, client: Client, brackets: None) -> None:
    multiply(create_rows(admin_user))
    client.force_login(admin_user)
    data = list_data()
    missing: dict[str, list[str]] = {}
    for address in list_pages():
        answer: Any = client.get(address)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            found = [*dict.fromkeys(list_untranslated(answer.content.decode(), data))]
            missing |= {address: found} if found else {}
    assert not missing, "\n".join(f"{address}: {text}" for address, texts in missing.items() for text in texts)


@pytest.mark.parametrize("name", sorted(str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.html")))
def test_no_template_has_words_that_nobody_can_translate(name: str) -> None:
    if not name.startswith(OF_THE_API):
        source = (TEMPLATES / name).read_text()
        translated = re.sub(_NO_WORDS, "", source, flags=re.DOTALL)
        html = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", translated)
        assert not [*list_untranslated(html, {"stop"})]  # which is an example


def test_a_page_has_all_words_of_its_scripts() -> None:
    code = "".join(file.read_text() for file in SCRIPTS.glob("*.js") if file.name != "words.js")
    said = {
        *re.findall(r"\bsay\(\"([^\"]+)\"", code),
        *re.findall(r"\"(\{time\} ago|in \{time\}|\{size\} bytes.*?)\"", code),
    }
    assert said == {*script_words.WORDS}
