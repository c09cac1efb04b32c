"""The page that compares two runs: of one experiment, or a run of it with one of another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext

from autosubmit_portal.console.addresses import make_experiment_key
from autosubmit_portal.console.pages.configuration import MOST_DIFFERENCES, MOST_RUNS, ShownDifference
from autosubmit_portal.console.parts import acts
from autosubmit_portal.console.parts.base import ReadOnlyAdmin, parse_number
from autosubmit_portal.console.parts.csv_lists import answer_csv_rows
from autosubmit_portal.console.parts.experiment_head import make_head_context
from autosubmit_portal.console.parts.presentation import translate
from experiments.activity import Act
from experiments.configurations import MissingConfiguration, UnreadableConfiguration
from experiments.models import Experiment, Run
from experiments.performance.comparison import ComparedJob, Comparison, JobInRun
from experiments.reads import HostAway
from experiments.run_comparisons import UNREADABLE, Side, compare_attempts, compare_configurations_of_runs, find_side
from jobs.models import Job

ROWS = 50
SIDES = ("first", "second")
OF_A_JOB = ("status", "attempts", "queue_seconds", "run_seconds")
COLUMNS = ["job", "section", *(f"{side}_{name}" for side in SIDES for name in OF_A_JOB), "differs"]


@dataclass(frozen=True, slots=True)
class Pair:
    """The experiments whose runs are compared, and the runs; None where there is none yet.

    `lists` are the newest runs of both, of which somebody chooses.
    """

    experiment: Experiment
    other: Experiment
    first: Run | None = None
    second: Run | None = None
    lists: Sequence[list[Run]] = field(default=([], []))

    @property
    def query(self) -> dict[str, str]:
        """What the address says of it."""
        given = {"with": make_experiment_key(self.other)} if self.other != self.experiment else {}
        runs = zip(SIDES, (self.first, self.second), strict=True)
        return given | {name: str(run.run_id) for name, run in runs if run}


class ComparePage(ReadOnlyAdmin):
    """Gives the admin of experiments the page `<id>/compare/`.

    `?first=3&second=4` are runs, by default the last two; `?with=a001` says of which experiment the second is.
    `?section=SIM` and `?jobs=all` choose jobs; `?format=csv` answers all of them.
    """

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        return [self.make_row_url("compare", self.compare_view), *super().get_urls()]

    def compare_view(self, request: HttpRequest, object_id: int | str) -> HttpResponseBase:
        """Show the page to whoever may see the jobs of both experiments, or answer the jobs as CSV."""
        pair = self._choose_pair(request, str(object_id))
        if request.GET.get("format") == "csv":
            return answer_csv(pair)
        title = gettext("Runs of {expid}, compared").format(expid=pair.experiment.expid)
        context = {"title": title, "pair": pair, **make_head_context(request, pair.experiment, "runs")}
        context |= make_context(request, pair)
        return self.render_page(request, "admin/portal/compare.html", pair.experiment, context)

    def _choose_pair(self, request: HttpRequest, key: str) -> Pair:
        experiment: Experiment = self.get_visible_object(request, key)
        named = request.GET.get("with", "").strip()
        other = self.get_visible_object(request, named) if named else experiment
        chosen = {experiment.pk, other.pk}
        if Experiment.objects.filter_showing(Job, request.user).filter(pk__in=chosen).count() < len(chosen):
            raise PermissionDenied
        first, second = (request.GET.get(name, "") for name in SIDES)
        return choose_runs(Pair(experiment, other), first, second)


def choose_runs(pair: Pair, first: str, second: str) -> Pair:
    """Return the pair with the runs of these numbers; for a blank one the last run, of one experiment the last two.

    Raises Http404 for a run that there is not.
    """
    lists = [list_newest_runs(pair.experiment)]
    lists.append(list_newest_runs(pair.other) if pair.other != pair.experiment else lists[0])
    later = find_run(pair.other, lists[1], second)
    if later is not None and lists[0] is lists[1] and not first:
        return replace(pair, first=find_run_before(later), second=later, lists=lists)
    earlier = find_run(pair.experiment, lists[0], first)
    return replace(pair, first=earlier, second=later, lists=lists)


def list_newest_runs(experiment: Experiment) -> list[Run]:
    """Return the newest runs, as many as a menu holds, the newest first."""
    return [adopt(experiment, run) for run in experiment.runs.order_by("-run_id")[:MOST_RUNS]]


def adopt(experiment: Experiment, run: Run) -> Run:
    """Return a run of the experiment, which then is loaded with it."""
    run.experiment = experiment
    return run


def find_run_before(run: Run) -> Run | None:
    """Return the run before another of its experiment; None if there is none."""
    found = run.experiment.runs.filter(run_id__lt=run.run_id).order_by("-run_id").first()
    return adopt(run.experiment, found) if found else None


def find_run(experiment: Experiment, newest: Sequence[Run], number: str) -> Run | None:
    """Return the run of a number, for a blank one the first of the newest; None if there is none."""
    if not number:
        return newest[0] if newest else None
    run_id = parse_number(number)
    found = experiment.runs.filter(run_id=run_id).first() if run_id is not None else None
    if found is None:
        raise Http404(gettext("{expid} has no such run.").format(expid=experiment.expid))
    return adopt(experiment, found)


def make_context(request: HttpRequest, pair: Pair) -> dict[str, Any]:
    """Return what the page shows of a pair; nothing while a run is missing."""
    if pair.first is None or pair.second is None:
        return {}
    sides = [ShownSide.make(find_side(request.user, run)) for run in (pair.first, pair.second)]
    context = {"sides": sides, **make_configuration_context(pair.first, pair.second)}
    try:
        found = compare_attempts(pair.first, pair.second)
    except UNREADABLE as error:
        return context | {"trouble": translate(error)}
    return context | {"found": found, "query": urlencode(pair.query), **make_jobs_context(request, pair, found)}


@dataclass(frozen=True, slots=True)
class ShownSide:
    """A run as the page shows it: what started it in words and commands, and the addresses of its logs."""

    side: Side
    starts: list[tuple[acts.Line, list[list[str]]]]
    logs: list[tuple[str, str]]

    @classmethod
    def make(cls, side: Side) -> "ShownSide":
        """Show a run."""
        starts = [
            (line, find_command(side, act)) for line, act in zip(acts.tell(side.starts), side.starts, strict=True)
        ]
        page = reverse("admin:experiments_experiment_logs", args=[side.experiment])
        logs = [(log.name, f"{page}?{urlencode({'log': log.name})}#log") for log in side.logs]
        return cls(side, starts, logs)


def find_command(side: Side, act: Act) -> list[list[str]]:
    """Return the commands of an action; what was started outside of the portal is told by its message."""
    return side.commands.get(act.action.pk, []) if act.action else []


def make_configuration_context(first: Run, second: Run) -> dict[str, Any]:
    """Return the differences of the configurations that the runs were created with, or why there are none to show."""
    try:
        found = compare_configurations_of_runs(first, second)
    except (MissingConfiguration, UnreadableConfiguration, HostAway) as error:
        return {"configuration_trouble": translate(error)}
    return {
        "changes": None if found is None else [ShownDifference.make(one) for one in found[:MOST_DIFFERENCES]],
        "number_of_changes": len(found or ()),
    }


def make_jobs_context(request: HttpRequest, pair: Pair, found: Comparison) -> dict[str, Any]:
    """Return a page of the jobs that are chosen, and how many differ."""
    section, which = request.GET.get("section", ""), request.GET.get("jobs", "")
    jobs = [job for job in found.jobs if not section or job.section == section]
    differing = [job for job in jobs if job.differs]
    parts = {"times": [job for job in jobs if job.took_otherwise], "all": jobs}
    rows = Paginator(parts.get(which, differing), ROWS).get_page(request.GET.get("p"))
    kept = pair.query | ({"section": section} if section else {})
    return {
        "section": section,
        "which": which if which in parts else "",
        "differing": len(differing),
        "took_otherwise": len(parts["times"]),
        "number_of_jobs": len(jobs),
        "kept": urlencode(kept),
        "rows": rows,
        "jobs": [(job, address_of(pair, job)) for job in rows],
    }


def address_of(pair: Pair, job: ComparedJob) -> str:
    """Return the address of the page of a job: in the experiment of the page if its run tried it."""
    experiment = pair.experiment if job.first else pair.other
    row = Job(experiment=experiment, name=f"{experiment.expid}_{job.name}")
    return reverse("admin:jobs_job_change", args=[row])


def answer_csv(pair: Pair) -> StreamingHttpResponse:
    """Answer the jobs of both runs as CSV. Raises Http404 if there is nothing to compare."""
    if pair.first is None or pair.second is None:
        raise Http404(gettext("There are no two runs to compare."))
    try:
        found = compare_attempts(pair.first, pair.second)
    except UNREADABLE as error:
        raise Http404(translate(error)) from error
    name = "-".join(f"{run.experiment.expid}-run-{run.run_id}" for run in (pair.first, pair.second))
    return answer_csv_rows(write_rows(found.jobs), COLUMNS, name)


def write_rows(jobs: Sequence[ComparedJob]) -> Iterator[dict[str, Any]]:
    """Yield each job as a row of CSV; the values of a run that did not try it are blank."""
    for job in jobs:
        row: dict[str, Any] = {"job": job.name, "section": job.section, "differs": job.differs}
        for side, tried in zip(SIDES, (job.first, job.second), strict=True):
            row |= {f"{side}_{name}": value for name, value in zip(OF_A_JOB, list_values(tried), strict=True)}
        yield row


def list_values(job: JobInRun | None) -> tuple[Any, ...]:
    """Return the values of a job in a run."""
    return (job.status, job.attempts, job.queue, job.run) if job else (None,) * len(OF_A_JOB)
