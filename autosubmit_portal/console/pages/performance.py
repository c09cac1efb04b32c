"""The page of how an experiment performs: the metrics with their formulas, and what sections and chunks took."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext

from autosubmit_portal.console.parts.base import ReadOnlyAdmin
from autosubmit_portal.console.parts.chunk_bars import ChunkBars
from experiments.autosubmit.store import BrokenStore
from experiments.models import Experiment
from experiments.performance.metrics import Metrics
from experiments.performance.settings import SIM
from experiments.performances import Performance, read_performance
from jobs.autosubmit.history import UnreadableHistory
from jobs.models import Job

ROWS = 50


@dataclass(frozen=True, slots=True)
class ShownMetric:
    """A metric as the page shows it: its value, None where there is nothing to compute it from, and its formula."""

    name: str
    title: str
    value: float | None
    unit: str
    formula: str
    digits: int = 2


class PerformancePage(ReadOnlyAdmin):
    """Gives the admin of experiments the page `<id>/performance/`; `?section=POST` shows the chunks of that section."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        return [self.make_row_url("performance", self.performance_view), *super().get_urls()]

    def performance_view(self, request: HttpRequest, object_id: int | str) -> HttpResponse:
        """Show the page to whoever may see the jobs."""
        experiment: Experiment = self.get_visible_object(request, str(object_id))
        if not Experiment.objects.filter_showing(Job, request.user).filter(pk=experiment.pk).exists():
            raise PermissionDenied
        context = {
            "experiment": experiment,
            "title": gettext("Performance of {expid}").format(expid=experiment.expid),
            "picture": "performance",
            **make_context(request, experiment),
        }
        return self.render_page(request, "admin/portal/performance.html", experiment, context)


def make_context(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Return what the page shows, or why it shows nothing."""
    try:
        found = read_performance(experiment)
    except (UnreadableHistory, BrokenStore) as error:
        return {"trouble": str(error)}
    section = choose_section(found, request.GET.get("section", ""))
    chunks = found.count_chunks(section)
    return {
        "trouble": found.trouble,
        "found": found,
        "shown": [*list_metrics(found)],
        "section": section,
        "bars": ChunkBars(chunks, section),
        "chunks": Paginator(chunks, ROWS).get_page(request.GET.get("p")),
        "simulations": Paginator(found.metrics.considered, ROWS).get_page(request.GET.get("s")),
    }


def choose_section(found: Performance, wanted: str) -> str:
    """Return the section whose chunks are shown: the wanted one, else that which simulates, else the longest."""
    names = [cost.name for cost in found.sections]
    if wanted in names:
        return wanted
    if SIM in names:
        return SIM
    return max(found.sections, key=lambda cost: sum(cost.runs)).name if found.sections else ""


def list_metrics(found: Performance) -> Iterator[ShownMetric]:
    """Yield the metrics in the order of the page."""
    metrics = found.metrics
    yield ShownMetric("SYPD", gettext("Simulated years per day"), metrics.sypd, "", gettext("Σ years × 86,400 / Σ run"))
    yield ShownMetric(
        *("ASYPD", gettext("Actual simulated years per day"), metrics.asypd, ""),
        gettext("Σ years × 86,400 / (Σ (queue + run) + mean of (queue + run) of POST jobs)"),
    )
    yield ShownMetric(
        *("RSYPD", gettext("Real simulated years per day"), metrics.rsypd, ""),
        gettext("Σ years × 86,400 / (end of the last TRANSFER, else CLEAN, − start of the first SIM)"),
    )
    yield ShownMetric(
        *("CHSY", gettext("Core hours per simulated year"), metrics.chsy, "h"),
        gettext("mean over SIM jobs of parallelisation × run / 3,600 / years"),
    )
    yield ShownMetric(
        *("JPSY", gettext("Joules per simulated year"), metrics.jpsy, "J"),
        gettext("Σ (energy / years) / number of SIM jobs with energy"),
        0,
    )
    yield from _list_totals(found, metrics)


def _list_totals(found: Performance, metrics: Metrics) -> Iterator[ShownMetric]:
    core_hours = sum(cost.core_hours for cost in found.sections)
    yield ShownMetric(
        *(gettext("Parallelisation"), gettext("Processing elements of a SIM job"), metrics.parallelization, ""),
        gettext(
            "NODES × PROCESSORS_PER_NODE; whole nodes for PROCESSORS by TASKS or PROCESSORS_PER_NODE; else PROCESSORS"
        ),
        0,
    )
    yield ShownMetric(
        gettext("Years"),
        gettext("Simulated years"),
        metrics.years,
        "",
        gettext("Σ years of the considered SIM jobs, by CHUNKSIZE"),
    )
    yield ShownMetric(
        *(gettext("Core hours"), gettext("Of all attempts at all jobs"), core_hours, "h"),
        gettext("Σ processors × (finish − start) / 3,600"),
    )
    yield ShownMetric(
        gettext("Energy"),
        gettext("Of the considered SIM jobs"),
        metrics.energy,
        "J",
        gettext("Σ energy as the platform told it"),
        0,
    )
    yield ShownMetric(
        *(gettext("Footprint"), gettext("Of that energy"), metrics.footprint, gettext("g CO₂")),
        gettext("energy / 3.6 × 10⁹ × CF × PUE of the platform"),
    )
