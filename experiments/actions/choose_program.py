"""Which Autosubmit the commands of an experiment are of: a manager of the site may choose another than its version."""

from django.contrib.auth.models import User
from django.db import transaction

from autosubmit_portal.access.rights import policy
from autosubmit_portal.audit import trail
from autosubmit_portal.audit.origin import Origin
from experiments import hosts, programs
from experiments.actions.refusals import InvalidParameters, Refusal
from experiments.actions.site_duties import has_duty, require_duty
from experiments.models import Experiment
from experiments.permissions import CHOOSE_PROGRAM


def choose_program(experiment: Experiment, name: str, *, actor: User, origin: Origin) -> None:
    """Choose a program by its name, or with none that of the version. What runs goes on with the one that it has.

    Raises Forbidden without the duty at the site, and InvalidParameters with the names that there are; both recorded.
    """
    require_choosing(experiment, actor=actor, origin=origin)
    said = _describe(experiment, origin)
    with trail.record_if_refused("experiment.program_refused", Refusal, **said):
        hosts.refresh_rules(experiment.site.hosts.all())
        unknown = programs.explain_unknown(name, experiment.site)
        if unknown:
            raise InvalidParameters({"program": [unknown]})
    with transaction.atomic():
        before = Experiment.objects.select_for_update().get(pk=experiment.pk).program
        if before != name:
            Experiment.objects.filter(pk=experiment.pk).update(program=name)
            trail.record("experiment.program_chosen", **said | {"details": {"program": [before, name]}})
    experiment.program = name


def require_choosing(experiment: Experiment, *, actor: User, origin: Origin) -> None:
    """Raise Forbidden, which is recorded, without the duty at the site."""
    said = _describe(experiment, origin)
    with trail.record_if_refused("experiment.program_refused", policy.Forbidden, **said):
        require_duty(actor, experiment.site, CHOOSE_PROGRAM)


def _describe(experiment: Experiment, origin: Origin) -> trail.EntryValues:
    expid = experiment.expid
    return {"origin": origin, "subject": expid, "site": experiment.site.slug, "expid": expid}


def may_choose_program(experiment: Experiment, actor: policy.Actor) -> bool:
    """Answer whether to offer it; `choose_program` decides."""
    return has_duty(actor, experiment.site, CHOOSE_PROGRAM)
