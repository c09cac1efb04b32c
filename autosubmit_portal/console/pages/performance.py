"""How an experiment performs: the metrics with their formulas, what sections and chunks took, what users measured."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext

from autosubmit_portal.console.parts.base import ReadOnlyAdmin, parse_number
from autosubmit_portal.console.parts.chunk_bars import ChunkBars
from autosubmit_portal.console.parts.csv_lists import FORMAT, answer_csv_rows
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.parts.presentation import translate
from experiments.autosubmit.store import BrokenStore
from experiments.models import Experiment
from experiments.performance.costs import Cost
from experiments.performance.metrics import Metrics
from experiments.performance.settings import SIM
from experiments.performances import Performance, read_performance
from experiments.user_metrics import read_metric_runs, read_metrics
from jobs.autosubmit.history import UnreadableHistory
from jobs.autosubmit.user_metrics import MetricRecord, UnreadableMetrics
from jobs.models import Job

ROWS = 50
# Of more runs, whoever wants an older one says so in the address.
MOST_RUNS = 30
COST_COLUMNS = [
    *("section", "chunk", "jobs", "completed", "queue_seconds", "run_seconds", "longest_run_seconds", "retrials"),
    *("failed_attempts", "core_hours", "failed_core_hours", "energy_joules"),
]


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
    """Gives the admin of experiments the pages `<id>/performance/` and `<id>/user-metrics/`.

    `?section=POST` shows the chunks of that section, `?run=3` the metrics of that run, `?q=sypd` those with that in
    their name or in that of their job; `?format=csv` answers all that a page has.
    """

    def get_urls(self) -> list[URLPattern]:
        """Add the pages."""
        return [
            self.make_row_url("performance", self.performance_view),
            self.make_row_url("user-metrics", self.user_metrics_view),
            *super().get_urls(),
        ]

    def user_metrics_view(self, request: HttpRequest, object_id: int | str) -> HttpResponseBase:
        """Show what the jobs of a run reported to whoever may see the jobs."""
        experiment = self._find(request, str(object_id))
        found = find_metrics(request, experiment)
        if request.GET.get(FORMAT) == "csv" and not found.trouble:
            columns = [field.name for field in fields(MetricRecord)]
            return answer_csv_rows(map(asdict, found.metrics), columns, f"{experiment.expid}-user-metrics")
        context = {
            "title": gettext("User metrics of {expid}").format(expid=experiment.expid),
            **make_head_context(request, experiment, "performance"),
            "found": found,
            "metrics": Paginator(found.metrics, ROWS).get_page(request.GET.get("p")),
            "query": urlencode({"run": found.run or "", "q": found.wanted}),
        }
        return self.render_page(request, "admin/portal/user_metrics.html", experiment, context)

    def _find(self, request: HttpRequest, key: str) -> Experiment:
        """Return an experiment whose jobs the person may see."""
        experiment: Experiment = self.get_visible_object(request, key)
        if not Experiment.objects.filter_showing(Job, request.user).filter(pk=experiment.pk).exists():
            raise PermissionDenied
        return experiment

    def performance_view(self, request: HttpRequest, object_id: int | str) -> HttpResponseBase:
        """Show the page to whoever may see the jobs, or answer what sections and chunks took as CSV."""
        experiment = self._find(request, str(object_id))
        shown = make_context(request, experiment)
        if request.GET.get(FORMAT) == "csv" and "found" in shown:
            return answer_costs(shown["found"], experiment)
        context = {
            "title": gettext("Performance of {expid}").format(expid=experiment.expid),
            **make_head_context(request, experiment, "performance"),
            **shown,
        }
        return self.render_page(request, "admin/portal/performance.html", experiment, context)


def make_context(request: HttpRequest, experiment: Experiment) -> dict[str, Any]:
    """Return what the page shows, or why it shows nothing."""
    try:
        found = read_performance(experiment)
    except (UnreadableHistory, BrokenStore) as error:
        return {"trouble": translate(error)}
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


@dataclass(frozen=True, slots=True)
class FoundMetrics:
    """The metrics of a run that were wanted, and the newest runs that have some; `trouble` says what was not read."""

    runs: Sequence[int] = ()
    run: int | None = None
    metrics: Sequence[MetricRecord] = ()
    wanted: str = ""
    trouble: str = ""


def find_metrics(request: HttpRequest, experiment: Experiment) -> FoundMetrics:
    """Return the metrics that an address asks for, by default those of the newest run that has some."""
    wanted = request.GET.get("q", "").strip()
    try:
        runs = read_metric_runs(experiment)
        run = parse_number(request.GET.get("run", "")) or next(iter(runs), None)
        metrics = read_metrics(experiment, run) if run else []
    except (UnreadableMetrics, BrokenStore) as error:
        return FoundMetrics(trouble=translate(error), wanted=wanted)
    low = wanted.lower()
    chosen = [one for one in metrics if low in one.job_name.lower() or low in one.metric_name.lower()]
    return FoundMetrics(runs[:MOST_RUNS], run, chosen, wanted)


def answer_costs(found: Performance, experiment: Experiment) -> StreamingHttpResponse:
    """Answer a line for each section, followed by one for each of its chunks."""
    rows = (
        make_cost_row(section.name, chunk, cost)
        for section in found.sections
        for chunk, cost in (("", section), *((cost.name, cost) for cost in found.count_chunks(section.name)))
        if chunk or cost is section
    )
    return answer_csv_rows(rows, COST_COLUMNS, f"{experiment.expid}-performance")


def make_cost_row(section: str, chunk: str, cost: Cost) -> dict[str, Any]:
    """Return a line of that file."""
    counted = (cost.jobs, cost.done, cost.queue, cost.run, cost.longest, cost.retrials, cost.failed)
    spent = (cost.core_hours, cost.failed_core_hours, cost.energy)
    return dict(zip(COST_COLUMNS, (section, chunk, *counted, *spent), strict=True))


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
