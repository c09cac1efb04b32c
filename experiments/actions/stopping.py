"""Stops of runs that have just begun: the signal may be lost, or there may be no run yet to receive it.

Autosubmit's `stop` sends SIGINT once, then waits without end. 4.1.17 has no handler, so the signal becomes a
KeyboardInterrupt wherever the run is. Python drops it inside of calls from the garbage collector, which are many when a
run begins and after it saved its job list; while it saves, Autosubmit takes it for an error of the file and goes on. A
run that has received it releases its lock at once. Versions with a handler set a flag, which a second signal sets
again. So one more signal does what the first should have done, or nothing.
"""

from autosubmit_portal.sentences import say
from experiments import commands
from experiments.actions.transition import make_origin_of_worker, record
from experiments.autosubmit.output import count_looks_of_stop
from experiments.catalogue.kinds import STOP_KINDS
from experiments.mirror import sync
from experiments.models import Action, State, Step

# It looks every 5 s.
_LOOKS_BEFORE_NEXT = 3


def signal_again(action: Action, step: Step) -> None:
    """Send SIGINT once more to the run that a stop waits for, if the signal was lost. May be called at any time.

    A run younger than the stop is never signalled. The run must be asleep, so that a wait is interrupted and not the
    saving of the job list.
    """
    if action.experiment is None or not action.catalogue_kind.stops_run:
        return
    looks = count_looks_of_stop(commands.read_text(step))
    if not looks or looks % _LOOKS_BEFORE_NEXT:
        return
    run = sync.look_alive(action.experiment)
    if run and run.host == step.host_id and run.pid and run.is_asleep and commands.interrupt(step, run.pid, looks):
        details = {"pid": run.pid, "evidence": run.evidence}
        record(action, "action.signalled_again", origin=make_origin_of_worker(action), details=details)


def find_stop(action: Action) -> str:
    """Return a sentence about who asked to stop the run that an action is about to start; blank if nobody did."""
    if not action.catalogue_kind.is_run:
        return ""
    stops = Action.objects.filter(experiment=action.experiment_id, kind__in=STOP_KINDS, pk__gt=action.pk)
    stop = stops.exclude(state=State.CANCELLED).order_by("pk").first()
    if stop is None:
        return ""
    return say("{name} asked to stop it before the run began (action {number}).", name=stop.actor_name, number=stop.pk)
