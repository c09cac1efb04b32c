"""Where the console's pages are, and what tests read in them."""

import html
import re
from typing import Any, Protocol

from django.apps import apps
from django.urls import reverse

from experiments.catalogue.kinds import ActionKind, Target
from experiments.models import Experiment, Site
from jobs.models import Job


class Answered(Protocol):
    """What the test client answers."""

    content: bytes


LISTS = (
    "experiments_experiment",
    "jobs_job",
    "experiments_run",
    "experiments_action",
    "experiments_site",
    "audit_auditentry",
)
# Their addresses are made of names.
NAMED = ("experiments_experiment", "jobs_job", "auth_user", "access_team")
READ_ONLY = ("experiments_experiment", "jobs_job", "experiments_run", "experiments_action", "audit_auditentry")
ROUTES = {
    Target.SITE: "admin:experiments_site_request",
    Target.EXPERIMENT: "admin:experiments_experiment_request",
    Target.JOBS: "admin:jobs_job_request",
}


def list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def page_of(name: str, pk: int) -> str:
    """Return the page of a row; of what has a name as people read it."""
    row = apps.get_model(name.replace("_", ".", 1))._default_manager.get(pk=pk)
    return reverse(f"admin:{name}_change", args=[row if name in NAMED else pk])


def form_of(kind: ActionKind, job: Job) -> str:
    """Return the form page of a kind, about the job, its experiment or its site."""
    rows: dict[Target, Job | Experiment | Site] = {
        Target.SITE: job.experiment.site,
        Target.EXPERIMENT: job.experiment,
        Target.JOBS: job,
    }
    row = rows[kind.target]
    return reverse(ROUTES[kind.target], args=[row.pk if isinstance(row, Site) else row, kind.name])


def filled(kind: ActionKind) -> dict[str, Any]:
    """Return what somebody fills in who fills in only what is needed; the jobs are chosen by the page."""
    return {option.name: option.example for option in kind.options if option.required and option.name != "jobs"}


def make_possible(kind: ActionKind, experiment: Experiment) -> None:
    """Let the experiment run when the kind is about a run."""
    Experiment.objects.filter(pk=experiment.pk).update(is_running=kind.on_run is not None)


def text_of(response: Answered) -> str:
    return response.content.decode()


def commands_in(response: Answered) -> list[str]:
    """Return the commands that a page shows, as one would type them."""
    shown = re.findall(r'<pre class="command"[^>]*>(.*?)</pre>', text_of(response), re.DOTALL)
    return [html.unescape(re.sub("<span.*?</span>", "", command)) for command in shown]


def key_in(response: Answered) -> str:
    """Return the hidden key of the form on a page."""
    found = re.search(r'name="idempotency_key" value="([^"]+)"', text_of(response))
    assert found
    return found[1]
