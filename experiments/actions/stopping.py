"""Stops of runs that have just begun: their signal may be lost, or there may be no run yet that it could reach.

Autosubmit's `stop` sends SIGINT once, then waits without an end. 4.1.17 sets no handler for it, so that it is a
KeyboardInterrupt wherever the run is. Python drops that in what the garbage collector calls, which is much when a run
begins and each time that it has saved its job list; Autosubmit takes it for an error of the file while it saves, and
goes on. A run that has taken it lets go of its lock at once. Versions with a handler set a mark, which a second signal
sets again. So one more signal does what the first should have done, or nothing.
"""

from experiments.actions.transition import on_behalf_of, record
from experiments.autosubmit.output import count_looks_of_stop
from experiments.catalogue.kinds import STOP_KINDS
from experiments.mirror import sync
from experiments.models import Action, State
from experiments.runners import get_runner

# It looks every 5 s.
_LOOKS_BEFORE_NEXT = 3


def signal_again(action: Action) -> None:
    """Send the run that a stop waits for SIGINT once more, if the signal was lost. May be called at any time.

    Never a run that is younger than the stop, and only while it sleeps: it is a wait then that is interrupted, and
    not the saving of the job list.
    """
    if action.experiment is None or not action.catalogue_kind.stops_run:
        return
    runner, directory = get_runner(action.site), action.run_directory(action.step)
    looks = count_looks_of_stop(runner.text(directory))
    if not looks or looks % _LOOKS_BEFORE_NEXT:
        return
    run = sync.look_alive(action.experiment)
    if run and run.pid and run.is_asleep and runner.interrupt(directory, run.pid, str(looks)):
        details = {"pid": run.pid, "evidence": run.evidence}
        record(action, "action.signalled_again", origin=on_behalf_of(action), details=details)


def stop_asked(action: Action) -> str:
    """Return who asked to stop the run that an action is about to begin, as a sentence; blank if nobody did."""
    if not action.catalogue_kind.is_run:
        return ""
    stops = Action.objects.filter(experiment=action.experiment_id, kind__in=STOP_KINDS, pk__gt=action.pk)
    stop = stops.exclude(state=State.CANCELLED).order_by("pk").first()
    return f"{stop.actor_name} asked to stop it before the run began (action {stop.pk})." if stop else ""
