"""The page with the configuration of an experiment: that of its files or of a run, and what has changed since."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from autosubmit_portal.console.parts.base import ReadOnlyAdmin, parse_number
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.parts.presentation import translate
from experiments.configurations import (
    ConfigurationChange,
    MissingConfiguration,
    UnreadableConfiguration,
    read_configuration_changes,
    read_configuration_of_run,
    read_file_configuration,
)
from experiments.models import Experiment
from experiments.reads import HostAway
from jobs.autosubmit.secrets import MASK

Read = TypeVar("Read")

# So many fit a page; the API has all.
MOST_VALUES = 5_000
MOST_DIFFERENCES = 500
MOST_RUNS = 100
LONGEST_LINE = 100
_NO_PLAIN_TEXT = re.compile(r"\s*|true|false|null|[-+.\d_eExo:]+", re.IGNORECASE)


class ConfigurationPage(ReadOnlyAdmin):
    """Gives the admin of experiments the page `<id>/configuration/`; `?run=3` asks for that of a run."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        return [self.make_row_url("configuration", self.configuration_view), *super().get_urls()]

    def configuration_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Show the page."""
        experiment = self.get_visible_object(request, str(object_id))
        context = get_configuration_context(experiment, parse_number(request.GET.get("run")))
        context |= make_head_context(request, experiment, "configuration")
        return self.render_page(request, "admin/portal/configuration.html", experiment, context)


def get_configuration_context(experiment: Experiment, run_id: int | None) -> dict[str, Any]:
    """Return what the page shows: the files, or a run and what has changed from it to the files."""
    changes: list[ConfigurationChange] | None = None
    trouble_now = ""
    if run_id is None:
        found, trouble = _try_reading(lambda: read_file_configuration(experiment))
    else:
        found, trouble = _try_reading(lambda: read_configuration_of_run(experiment, run_id))
        if found and found.values:
            changes, trouble_now = _try_reading(lambda: read_configuration_changes(experiment, run_id))
    return {
        "title": gettext("Configuration of {expid}").format(expid=experiment.expid),
        "runs": experiment.runs.order_by("-run_id")[:MOST_RUNS],
        "run_id": run_id,
        "found": found,
        "troubles": dict.fromkeys(filter(None, (trouble, trouble_now))),
        "tree": Tree(found.values) if found else None,
        "changes": None if changes is None else [ShownDifference.make(one) for one in changes[:MOST_DIFFERENCES]],
        "number_of_changes": len(changes or ()),
    }


def _try_reading(read: Callable[[], Read]) -> tuple[Read | None, str]:
    try:
        return read(), ""
    except (MissingConfiguration, UnreadableConfiguration, HostAway) as error:
        return None, translate(error)


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A row of the table of differences."""

    name: str
    change: str
    old: SafeString
    new: SafeString

    @classmethod
    def make(cls, one: ConfigurationChange) -> "ShownDifference":
        """Show a difference; of one that was added or removed, one side is blank."""
        parts = [part.replace("~1", "/").replace("~0", "~") for part in one.pointer.split("/")[1:]]
        old = SafeString("") if one.change == "added" else show_value(one.old)
        new = SafeString("") if one.change == "removed" else show_value(one.new)
        return cls(".".join(parts), one.change, old, new)


class Tree:
    """A configuration as nested lists that open and close, with at most MOST_VALUES values; sections come first."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.values = 0
        sections = {key: value for key, value in configuration.items() if value and isinstance(value, dict)}
        self.html = self._render_branches(sections | configuration)

    @property
    def is_cut(self) -> bool:
        """Whether there is more than fits the page."""
        return self.values >= MOST_VALUES

    def _render_branches(self, value: Any) -> SafeString:
        return format_html_join("", "{}", ((branch,) for branch in self._render_each(value)))

    def _render_each(self, value: Any) -> Iterator[SafeString]:
        items = value.items() if isinstance(value, dict) else enumerate(value, 1)
        for key, inner in items:
            if self.is_cut:
                return
            self.values += 1
            if _is_line(inner):
                yield format_html(
                    '<div class="leaf"><span class="key">{}</span> <span class="value">{}</span></div>',
                    key,
                    show_value(inner),
                )
            else:
                yield format_html(
                    '<details><summary><span class="key">{}</span> <span class="quiet">{}</span></summary>'
                    '<div class="branches">{}</div></details>',
                    key,
                    len(inner),
                    self._render_branches(inner),
                )


def _is_line(value: Any) -> bool:
    """Return whether a value fits a line of its own."""
    if isinstance(value, list):
        return not any(isinstance(item, dict | list) for item in value) and len(str(value)) <= LONGEST_LINE
    return not (isinstance(value, dict) and value)


def show_value(value: Any) -> SafeString:
    """Show a JSON value. A text gets quotes only where it would look like another type."""
    if isinstance(value, str) and value == MASK:
        return format_html('<span class="masked" title="{}">{}</span>', gettext("A secret: it is hidden"), value)
    if isinstance(value, str) and not _NO_PLAIN_TEXT.fullmatch(value):
        return format_html("{}", value)
    if value in (None, "", [], {}):
        return format_html('<span class="quiet">{}</span>', json.dumps(value))
    if isinstance(value, list):
        return format_html("[{}]", format_html_join(", ", "{}", ((show_value(item),) for item in value)))
    return format_html("{}", json.dumps(value, ensure_ascii=False))
